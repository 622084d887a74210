/**
 * Protects guests of whose memory their host gains nothing, as of huge pages: nothing of their boot memory is taken, and what was is given back
 * as there is room. Shown both ways: with the same guest of ordinary memory beside it.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NOT_REPORTED } from '../../src/control/signal.js';
import { NO_PAGES, pages } from '../../src/units.js';
import { BLOCK, sharedGuest, SharedHost, type SharedGuest, type SharedHostOptions } from '../support/shared-host.js';

const LEAST = 60_000;
const MAXIMUM = 200_000;

/** Beside what a guest of ordinary memory holds at first, or what one that keeps it has in all, the host has `room`. */
function hostWith(guest: Partial<SharedGuest>, options: Partial<SharedHostOptions> & { readonly room?: number } = {}) {
  const { held = MAXIMUM, keepsMemory = false } = guest;
  const total = (keepsMemory ? MAXIMUM : held) + (options.room ?? 0);
  return new SharedHost({ total, guests: { one: sharedGuest({ held, ...guest }) }, ...options });
}

const reasonOf = (host: SharedHost): string | undefined => host.state.guests.get('one')?.decision?.reason.code;

describe('a guest that keeps its memory', () => {
  it('is left what it has, where the same guest of ordinary memory gives most of it up', () => {
    const [kept, ordinary] = [hostWith({ keepsMemory: true }), hostWith({})];
    for (const host of [kept, ordinary]) host.liveUntil(300);
    assert.deepEqual(kept.targets, []);
    assert.equal(reasonOf(kept), 'keeps-memory');
    assert.ok(ordinary.guest('one').held < LEAST, `${ordinary.guest('one').held}`);
  });

  it('gets back what was taken before as its host has room, whatever it needs', () => {
    for (const isSilent of [false, true]) {
      const small = { held: 50_000, isSilent };
      const [kept, ordinary] = [small, { ...small, keepsMemory: true }]
        .reverse()
        .map((one) => hostWith(one, { room: 160_000 }));
      for (const host of [kept, ordinary]) host?.liveUntil(30);
      assert.equal(kept?.guest('one').held, MAXIMUM);
      assert.ok((ordinary?.guest('one').held ?? NaN) < LEAST);
    }
    const full = hostWith({ held: 50_000, keepsMemory: true }, { room: 0 });
    full.liveUntil(30);
    assert.equal(full.guest('one').held, 50_000);
    assert.equal(reasonOf(full), 'clamped-to-host');
  });

  it('is not moved while self-ballooning is switched off', () => {
    const host = hostWith({ held: 50_000, keepsMemory: true }, { room: 160_000, tunables: { selfballooning: 0 } });
    host.liveUntil(30);
    assert.deepEqual(host.targets, []);
  });

  it('goes down to its administrator’s ceiling step by step, as any other, and no further', () => {
    const limits = { one: { floor: NO_PAGES, ceiling: pages(90_000) } };
    const host = hostWith({ keepsMemory: true }, { limits });
    host.liveUntil(10);
    assert.ok(host.guest('one').held > 150_000, `${host.guest('one').held}`);
    host.liveUntil(600);
    assert.equal(host.guest('one').held, 90_000);
  });

  it('does not go down to it at once because looks do not say what it holds', () => {
    const limits = { one: { floor: NO_PAGES, ceiling: pages(90_000) } };
    let isLate = false;
    const sight: SharedHostOptions['sight'] = (reading) => (isLate ? { ...reading, current: NOT_REPORTED } : reading);
    const host = hostWith({ keepsMemory: true }, { limits, sight });
    host.liveUntil(10);
    isLate = true;
    host.liveUntil(12);
    const { held } = host.guest('one');
    host.liveUntil(60);
    assert.equal(host.guest('one').held, held);
  });

  it('is not made smaller by a floor in the configuration that is below what it has', () => {
    const limits = { one: { floor: pages(100_000), ceiling: null } };
    const host = hostWith({ keepsMemory: true }, { limits });
    host.liveUntil(300);
    assert.equal(host.guest('one').held, MAXIMUM);
  });

  it('gives up what is plugged in beyond its ceiling, and not its boot memory for that', () => {
    const plugged = 300 * BLOCK;
    const guest = { held: 100_000, pluggable: 400 * BLOCK, plugged, keepsMemory: true };
    const limits = { one: { floor: NO_PAGES, ceiling: pages(150_000) } };
    const host = hostWith(guest, { room: 400_000, limits });
    for (let second = 1; second <= 600; second += 1) {
      host.liveUntil(second);
      assert.ok(host.guest('one').held >= 100_000, `${host.guest('one').held} at ${second} s`);
    }
    const one = host.guest('one');
    assert.ok(one.held + one.plugged <= 150_000, `${one.held} and ${one.plugged}`);
  });

  it('grows past its boot memory and back by the rule', () => {
    const guest = { pluggable: 400 * BLOCK, committed: 300_000, keepsMemory: true };
    const host = hostWith(guest, { room: 400_000 });
    host.liveUntil(60);
    assert.ok(host.guest('one').plugged > 100_000, `${host.guest('one').plugged}`);
    host.guest('one').committed = 20_000;
    host.liveUntil(300);
    assert.deepEqual([host.guest('one').plugged, host.guest('one').held], [0, MAXIMUM]);
  });

  it('loses no boot memory to its balloon where what is plugged in is not let go of', () => {
    const guest = { pluggable: 400 * BLOCK, committed: 300_000, keepsMemory: true };
    const host = hostWith(guest, { room: 400_000 });
    host.liveUntil(60);
    host.guest('one').plugging = 'keeps';
    host.guest('one').committed = 20_000;
    host.liveUntil(1_000);
    assert.equal(host.guest('one').held, MAXIMUM);
    assert.ok(host.told.includes('one stuck'), host.told.join());
  });

  it('has its boot memory whole, and nothing plugged in instead, whatever it was found with', () => {
    const host = hostWith(
      { held: 50_000, pluggable: 400 * BLOCK, plugged: 200 * BLOCK, keepsMemory: true },
      { room: 400_000 },
    );
    host.liveUntil(300);
    assert.deepEqual([host.guest('one').held, host.guest('one').plugged], [MAXIMUM, 0]);
    // Of one in which nobody speaks nobody knows whether it needs what is plugged in.
    const more = { held: 50_000, pluggable: 400 * BLOCK, plugged: 400 * BLOCK, isSilent: true, keepsMemory: true };
    const silent = hostWith(more, { room: 500_000 });
    silent.liveUntil(300);
    assert.equal(silent.guest('one').held, MAXIMUM);
  });

  it('is not smaller than the rule would have it because its ceiling is', () => {
    const sizes = [true, false].map((keepsMemory) => {
      const limits = { one: { floor: NO_PAGES, ceiling: pages(15_000) } };
      const host = hostWith({ held: 15_000, keepsMemory }, { room: 100_000, limits });
      host.liveUntil(120);
      return host.guest('one').held;
    });
    assert.equal(sizes[0], sizes[1]);
    assert.ok((sizes[0] ?? 0) > 15_000);
  });

  it('is given everything by a release', () => {
    const host = hostWith({ held: 50_000, keepsMemory: true }, { room: 160_000, tunables: { selfballooning: 0 } });
    host.liveUntil(10);
    host.tell({ kind: 'release', id: 1 });
    host.liveUntil(12);
    assert.equal(host.guest('one').held, MAXIMUM);
  });
});

describe('a guest whose memory begins to be kept while it runs', () => {
  it('is not promised anew, to it or to others, what is just being plugged in', () => {
    const one = sharedGuest({ held: MAXIMUM, committed: 300_000, pluggable: 400 * BLOCK, plugSpeed: BLOCK });
    const other = sharedGuest({ held: 50_000, committed: 20_000 });
    const host = new SharedHost({ total: 400_000, guests: { one, other } });
    while (one.plugTarget === 0) host.liveUntil(host.seconds + 1);
    host.keep('one', true);
    other.committed = 180_000;
    // It throws where more is promised than there is, or taken.
    host.liveUntil(120);
    assert.ok(one.plugged > 0 && other.held > 50_000, `${one.plugged} and ${other.held}`);
  });

  it('gets back at a release what had been plugged in when it was found', () => {
    const found = 100 * BLOCK;
    const one = sharedGuest({ held: MAXIMUM, pluggable: 400 * BLOCK, plugged: found });
    const host = new SharedHost({ total: 400_000, guests: { one } });
    while (one.plugged > 0) host.liveUntil(host.seconds + 1);
    host.keep('one', true);
    host.liveUntil(host.seconds + 20);
    host.keep('one', false);
    host.tell({ kind: 'release', id: 1 });
    host.liveUntil(host.seconds + 10);
    assert.equal(one.plugged, found);
  });

  it('is driven as others again when that is over', () => {
    const host = hostWith({ keepsMemory: true }, { room: 160_000 });
    host.liveUntil(30);
    host.keep('one', false);
    host.liveUntil(300);
    assert.ok(host.guest('one').held < LEAST, `${host.guest('one').held}`);
    host.keep('one', true);
    host.liveUntil(330);
    assert.equal(host.guest('one').held, MAXIMUM);
  });
});
