/** Protects guests in which nobody says any more, or yet, what they need: what was taken from them comes back, however late. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Signals } from '../../src/control/reading.js';
import { knownAt } from '../../src/control/signal.js';
import { millis, pages, type Millis } from '../../src/units.js';
import { sharedGuest, SharedHost, type SharedGuest } from '../support/shared-host.js';

describe('a guest that was made smaller and falls silent while its host has nothing free', () => {
  /** The host is full by then. */
  const silenced = (): { readonly host: SharedHost; readonly small: SharedGuest; readonly busy: SharedGuest } => {
    const small = sharedGuest({ held: 150_000, maximum: 150_000 });
    const busy = sharedGuest({ held: 60_000, maximum: 400_000 });
    const host = new SharedHost({
      total: 215_000,
      guests: { small, busy },
      tunables: { selfballoon_downhysteresis: 2 },
    });
    host.liveUntil(120);
    busy.committed = 390_000;
    host.liveUntil(150);
    assert.ok(small.held < 50_000 && host.free < 5_000);
    small.isSilent = true;
    host.alarm('small', 'silent');
    host.liveUntil(200);
    assert.ok(small.held < 55_000);
    return { host, small, busy };
  };

  it('has everything back when the host has it, however much later, and is left alone from then on', () => {
    const { host, small, busy } = silenced();
    busy.committed = 20_000;
    host.liveUntil(400);
    assert.equal(small.held, 150_000);
    Object.assign(small, { held: 100_000, target: 100_000 });
    host.liveUntil(1_000);
    assert.equal(small.held, 100_000);
  });

  it('has it too where what it said last is still believed when its silence is told', () => {
    let saidAt: Millis | null = null;
    const small = sharedGuest({
      held: 150_000,
      maximum: 150_000,
      claims: () => (saidAt === null ? {} : { committed: knownAt(pages(20_000), saidAt) }),
    });
    const busy = sharedGuest({ held: 60_000, maximum: 400_000 });
    const tunables = { selfballoon_downhysteresis: 1, selfballoon_interval: 60 };
    const host = new SharedHost({ total: 215_000, guests: { small, busy }, tunables });
    host.liveUntil(130);
    busy.committed = 390_000;
    host.liveUntil(250);
    assert.ok(small.held < 50_000 && host.free < 5_000);
    saidAt = millis(250_000);
    host.liveUntil(280);
    host.alarm('small', 'silent');
    host.liveUntil(330);
    assert.ok(small.held < 55_000);
    busy.committed = 20_000;
    host.liveUntil(700);
    assert.equal(small.held, 150_000);
  });

  it('is one like the others when somebody in it speaks again', () => {
    const { host, small, busy } = silenced();
    small.isSilent = false;
    busy.committed = 20_000;
    host.liveUntil(600);
    assert.ok(small.held < 50_000);
  });
});

describe('a guest that says something of its memory, and not what it needs', () => {
  it('gets everything back on release: it may have been made smaller by a daemon that was killed', () => {
    const claims = (at: Millis): Partial<Signals> => ({ available: knownAt(pages(1_000), at) });
    const host = new SharedHost({ total: 400_000, guests: { quiet: sharedGuest({ isSilent: true, claims }) } });
    host.liveUntil(30);
    host.tell({ kind: 'release', id: 1 });
    host.liveUntil(35);
    assert.equal(host.guest('quiet').held, 200_000);
  });
});

describe('a guest that begins anew', () => {
  it('has everything back that was taken from it, and keeps it for a while', () => {
    const guest = sharedGuest({});
    const host = new SharedHost({ total: 500_000, guests: { guest } });
    host.liveUntil(200);
    assert.ok(guest.held < 60_000);
    // Its new kernel says nothing yet, and the balloon's target is still the old one.
    guest.isSilent = true;
    host.alarm('guest', 'restarted');
    host.liveUntil(202);
    assert.equal(guest.held, 200_000);
    assert.ok(host.told.includes('guest under-pressure'));
  });

  it('has what it was given where nobody in it ever spoke, and so nothing was taken from it', () => {
    const guest = sharedGuest({ isSilent: true, held: 120_000, target: 120_000 });
    const host = new SharedHost({ total: 500_000, guests: { guest } });
    host.liveUntil(60);
    host.alarm('guest', 'restarted');
    host.liveUntil(70);
    assert.equal(guest.held, 120_000);
    assert.deepEqual(host.targets, []);
  });
});
