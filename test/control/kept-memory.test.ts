/**
 * Protects guests of whose memory their host gains nothing, as of huge pages: nothing is taken from them, and what was is given back without
 * room for it. Shown both ways: with the same guest of ordinary memory beside it.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NO_PAGES, pages } from '../../src/units.js';
import { BLOCK, sharedGuest, SharedHost, type SharedGuest, type SharedHostOptions } from '../support/shared-host.js';

const LEAST = 60_000;

function hostWith(guest: Partial<SharedGuest>, options: Partial<SharedHostOptions> = {}): SharedHost {
  const { held = 200_000 } = guest;
  // The host has nothing but what its guests have already.
  const total = guest.keepsMemory === true ? 200_000 : held;
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

  it('gets back what was taken before although its host has nothing free, which another one does not', () => {
    const small = { held: 50_000, committed: 150_000 };
    const [kept, ordinary] = [hostWith({ ...small, keepsMemory: true }), hostWith(small)];
    for (const host of [kept, ordinary]) host.liveUntil(30);
    assert.equal(kept.guest('one').held, 200_000);
    assert.deepEqual(kept.targets.length, 1, 'it is asked once');
    assert.equal(ordinary.guest('one').held, 50_000);
    assert.equal(reasonOf(ordinary), 'clamped-to-host');
  });

  it('gets it back also where nobody in it says what it needs, or before it has said so', () => {
    const host = hostWith({ held: 50_000, isSilent: true, keepsMemory: true });
    host.liveUntil(30);
    assert.equal(host.guest('one').held, 200_000);
  });

  it('is not moved while self-ballooning is switched off', () => {
    const host = hostWith({ held: 50_000, keepsMemory: true }, { tunables: { selfballooning: 0 } });
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

  it('is not made smaller by a floor in the configuration that is below what it has', () => {
    const limits = { one: { floor: pages(100_000), ceiling: null } };
    const host = hostWith({ keepsMemory: true }, { limits });
    host.liveUntil(300);
    assert.equal(host.guest('one').held, 200_000);
  });

  it('is given everything by a release, without room on its host', () => {
    const host = hostWith({ held: 50_000, keepsMemory: true }, { tunables: { selfballooning: 0 } });
    host.liveUntil(10);
    host.tell({ kind: 'release', id: 1 });
    host.liveUntil(12);
    assert.equal(host.guest('one').held, 200_000);
  });
});

describe('a guest whose memory begins to be kept while it runs', () => {
  /** It was promised memory that it has not taken, so that another cannot have it. */
  const promised = (): SharedHost => {
    const one = sharedGuest({ held: 50_000, committed: 150_000, behaviour: 'late' });
    const other = sharedGuest({ held: 50_000, committed: 20_000 });
    return new SharedHost({ total: 300_000, guests: { one, other } });
  };

  it('is promised nothing of its host’s any more: others can have that', () => {
    const host = promised();
    host.liveUntil(5);
    assert.ok(host.guest('one').target > 140_000, `${host.guest('one').target}`);
    host.keep('one', true);
    assert.equal(host.free, 300_000 - 200_000 - host.guest('other').held);
    host.guest('other').committed = 90_000;
    host.liveUntil(60);
    assert.ok(host.guest('other').held > 95_000, `${host.guest('other').held}`);
    assert.equal(host.guest('one').target, 200_000);
  });

  it('is driven as others again when that is over', () => {
    const host = hostWith({ keepsMemory: true });
    host.liveUntil(30);
    host.keep('one', false);
    host.liveUntil(300);
    assert.ok(host.guest('one').held < LEAST, `${host.guest('one').held}`);
    host.keep('one', true);
    host.liveUntil(330);
    assert.equal(host.guest('one').held, 200_000);
  });

  it('has nothing more plugged in or out, and all of its boot memory, also below a ceiling', () => {
    const guest = { held: 200_000, committed: 300_000, pluggable: 128 * BLOCK, plugSpeed: BLOCK };
    const limits = { one: { floor: NO_PAGES, ceiling: pages(150_000) } };
    const host = new SharedHost({ total: 400_000, guests: { one: sharedGuest(guest) } });
    host.liveUntil(10);
    assert.ok(host.growths.length > 0);
    const { length } = host.growths;
    host.keep('one', true);
    host.guest('one').plugTarget = host.guest('one').plugged;
    host.guest('one').target = 50_000;
    host.guest('one').held = 50_000;
    host.liveUntil(120);
    assert.equal(host.guest('one').held, 200_000);
    assert.equal(host.growths.length, length);
    assert.ok(!host.told.includes('one uncooperative'), host.told.join());

    const plugged = 20 * BLOCK;
    const small = { ...guest, held: 50_000, plugged, keepsMemory: true };
    const bounded = new SharedHost({ total: 400_000, guests: { one: sharedGuest(small) }, limits });
    bounded.liveUntil(30);
    assert.equal(bounded.guest('one').held, 150_000 - plugged);
  });
});
