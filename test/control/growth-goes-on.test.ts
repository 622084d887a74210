/**
 * Protects what follows when plugging in or out comes to its end, one way or the other: the balloon goes on at once, nothing is
 * promised that others may have by now, and a guest has neither more patience nor less than is its due.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isOwed } from '../../src/control/guest-give-back.js';
import { BLOCK, sharedGuest, SharedHost, type SharedGuest } from '../support/shared-host.js';

const BOOT = 200_000;
/** Seldom: what happens within a minute is not the policy's doing. */
const tunables = { selfballoon_interval: 60 };

/** A guest with its whole boot memory that can have as much again. */
const growing = (more: Partial<SharedGuest> = {}): SharedGuest =>
  sharedGuest({ held: BOOT, maximum: BOOT, pluggable: 400 * BLOCK, ...more });

/** Lives on until it is so. Returns the second. */
function liveUntil(host: SharedHost, what: string, isSo: () => boolean): number {
  const end = host.seconds + 300;
  while (!isSo()) {
    assert.ok(host.seconds < end, `it never came about that ${what}`);
    host.liveUntil(host.seconds + 1);
  }
  return host.seconds;
}

describe('a guest that has given up what was plugged in', () => {
  it('is made smaller by its balloon at once, and not only when its policy is asked again', () => {
    const guest = growing({ committed: 300_000, plugSpeed: 20 * BLOCK });
    const host = new SharedHost({ total: 800_000, guests: { guest }, tunables });
    liveUntil(host, 'it has grown', () => guest.plugged > 0 && guest.plugged === guest.plugTarget);
    guest.committed = 20_000;
    liveUntil(host, 'it is asked to give it up', () => guest.plugTarget === 0);
    const emptied = liveUntil(host, 'it has given it up', () => guest.plugged === 0);
    assert.equal(guest.held, BOOT);
    const smaller = liveUntil(host, 'its balloon moves', () => guest.held < BOOT);
    assert.ok(smaller - emptied <= 2, `${smaller - emptied} s`);
  });
});

describe('a guest whose last device for memory was unplugged', () => {
  it('is driven by its balloon as any other, and owed nothing of what had been plugged in', () => {
    const one = growing({ plugged: 100 * BLOCK, committed: 150_000 });
    const host = new SharedHost({ total: 800_000, guests: { one }, tunables: { selfballoon_interval: 5 } });
    liveUntil(host, 'it is smaller', () => one.plugged === 0 && one.held < BOOT);
    Object.assign(one, { pluggable: 0, plugTarget: 0 });
    host.change('one');
    one.committed = 20_000;
    liveUntil(host, 'it is made smaller', () => one.held < 50_000);
    one.committed = 100_000;
    liveUntil(host, 'it has more', () => one.held > 100_000);
    host.tell({ kind: 'release', id: 1 });
    host.liveUntil(host.seconds + 10);
    assert.equal(one.held, BOOT);
    assert.equal(isOwed(host.state.guests.get('one') ?? assert.fail()), false);
  });
});

describe('a guest that nobody drives, and that plugs in what its administrator asked for', () => {
  for (const [what, hasBalloon] of [
    ['has no balloon', false],
    ['loses its balloon meanwhile', true],
  ] as const) {
    it(`and ${what}, keeps that from others until it has it`, () => {
      const big = growing({ plugSpeed: 0, hasBalloon, committed: 150_000 });
      const hungry = sharedGuest({ held: 50_000, maximum: 300_000, committed: 20_000 });
      const guests = { big, hungry };
      const host = new SharedHost({ total: 600_000, guests, tunables: { selfballoon_interval: 1 } });
      host.liveUntil(2);
      Object.assign(big, { hasBalloon: false, plugTarget: 400 * BLOCK });
      host.change('big');
      host.liveUntil(host.seconds + 2);
      hungry.committed = 290_000;
      // At each second the host is asked whether it could keep all of its promises.
      host.liveUntil(host.seconds + 20);
      assert.ok(hungry.held < 250_000);
      big.plugSpeed = 50 * BLOCK;
      liveUntil(host, 'it has all that it was asked to have', () => big.plugged === 400 * BLOCK);
    });
  }
});

describe('a guest whose balloon was unplugged', () => {
  it('keeps nothing from others that it was once told to have: it has all of its boot memory, and its host knows', () => {
    const one = sharedGuest({ held: 50_000, committed: 150_000, maximum: 200_000, behaviour: 'late' });
    const other = sharedGuest({ held: 50_000, committed: 20_000, maximum: 300_000 });
    const host = new SharedHost({ total: 500_000, guests: { one, other }, tunables: { selfballoon_interval: 1 } });
    liveUntil(host, 'it is to have more', () => one.target > 100_000);
    Object.assign(one, { hasBalloon: false, held: one.maximum, target: one.maximum });
    host.change('one');
    other.committed = 280_000;
    liveUntil(host, 'the other has what it needs', () => other.held > 270_000);
  });
});

describe('a guest whose promised boot memory was taken back', () => {
  it('is not promised it again because it has plugged in the rest, for others may have it', () => {
    const slow = growing({ held: 100_000, committed: 50_000, plugSpeed: 20 * BLOCK });
    const host = new SharedHost({ total: 800_000, guests: { slow, other: growing() }, tunables });
    host.liveUntil(130);
    slow.behaviour = 'late';
    slow.committed = 300_000;
    liveUntil(host, 'it is to grow', () => slow.plugTarget > 0);
    liveUntil(host, 'its boot memory is taken back', () => slow.target === slow.held);
    assert.ok(slow.plugged < slow.plugTarget, 'it still plugs in');
    const { target } = slow;
    liveUntil(host, 'it has plugged in all', () => slow.plugged === slow.plugTarget);
    host.liveUntil(host.seconds + 3);
    assert.equal(slow.target, target);
  });
});

describe('a guest that does not plug in what it is given', () => {
  it('gets no more patience by needing more each second', () => {
    const deaf = growing({ committed: 250_000, plugging: 'never' });
    const host = new SharedHost({ total: 800_000, guests: { deaf }, tunables: { selfballoon_interval: 1 } });
    const asked = liveUntil(host, 'it is to grow', () => deaf.plugTarget > 0);
    const givenUp = liveUntil(host, 'it is asked for no more', () => {
      deaf.committed += 3 * BLOCK;
      return deaf.plugTarget === 0;
    });
    assert.ok(host.growths.length > 5, 'it was asked for something else again and again');
    assert.ok(givenUp - asked <= 11, `${givenUp - asked} s`);
  });
});

describe('a guest that did not plug in what it was given, and is asked for no more', () => {
  it('has its time to give up what it took too late', () => {
    const late = growing({ committed: 390_000, plugging: 'never' });
    const host = new SharedHost({ total: 800_000, guests: { late }, tunables });
    liveUntil(host, 'it is to grow', () => late.plugTarget > 0);
    liveUntil(host, 'it is asked for no more', () => late.plugTarget === 0);
    late.plugged = BLOCK;
    host.liveUntil(host.seconds + 2);
    assert.equal(late.plugTarget, 0);
    late.plugging = 'obeys';
    host.liveUntil(host.seconds + 2);
    assert.deepEqual([late.plugged, late.plugTarget], [0, 0]);
    assert.deepEqual(
      host.told.filter((line) => !line.endsWith('guest-came')),
      ['late stuck', 'late obeys-again'],
    );
  });
});
