/** Protects that guests of a shared host get back what was taken, as far as the host has it, and at once. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isOwed } from '../../src/control/guest-give-back.js';
import { promisedTo } from '../../src/control/guest-state.js';
import { NOT_REPORTED } from '../../src/control/signal.js';
import { pages } from '../../src/units.js';
import { sharedGuest, SharedHost, type SharedGuest, type SharedHostOptions } from '../support/shared-host.js';

describe('giving everything back on a host', () => {
  it('gives each guest the same part of what it lacks, when the host has not enough for all', () => {
    const guests = { first: sharedGuest({}), second: sharedGuest({}) };
    const host = new SharedHost({ total: 250_000, guests });
    host.liveUntil(200);
    assert.ok(guests.first.held < 60_000);
    host.tell({ kind: 'release', id: 1 });
    host.checkPromises();
    host.liveUntil(205);
    assert.ok(Math.abs(guests.first.held - guests.second.held) < 10 && guests.first.held > 120_000);
    for (const state of host.state.guests.list) assert.ok(isOwed(state), 'what is still missing is not known');
  });

  it('takes back nothing that a guest was told it may have, though its share is less', () => {
    const guests = {
      late: sharedGuest({ held: 50_000, target: 50_000, committed: 150_000, behaviour: 'late' }),
      idle: sharedGuest({ limits: { floor: pages(100_000), ceiling: null } }),
    };
    const host = new SharedHost({ total: 255_000, guests });
    host.liveUntil(8);
    const told = guests.late.target;
    assert.ok(told > 140_000);
    host.tell({ kind: 'release', id: 1 });
    host.checkPromises();
    assert.equal(guests.late.target, told);
  });

  it('promises no more than is free where many get a share and one has been promised more', () => {
    const limits = { floor: pages(90_000), ceiling: null };
    const nine = Array.from({ length: 9 }, (_, n) => [
      `g${n}`,
      sharedGuest({ held: 90_000, maximum: 100_000, committed: 1_000, limits }),
    ]);
    const large = sharedGuest({ maximum: 1_000_000, committed: 900_000, behaviour: 'late' });
    const other = sharedGuest({ held: 10_000, isSilent: true });
    const guests = { ...(Object.fromEntries(nine) as Record<string, SharedGuest>), large, other };
    const host = new SharedHost({ total: 100_000 + 9 * 90_000 + 10_000 + 90_000, guests });
    host.liveUntil(8);
    assert.equal(large.target, 190_000);
    Object.assign(other, { held: 5_000, target: 5_000 });
    host.tell({ kind: 'release', id: 1 });
    host.liveUntil(12);
    assert.ok(
      Object.values(guests).some(({ held }) => held > 90_000 && held < 100_000),
      'somebody was given some',
    );
  });

  it('leaves alone whoever never reported and was never asked', () => {
    const host = new SharedHost({ total: 400_000, guests: { silent: sharedGuest({ isSilent: true }) } });
    host.liveUntil(30);
    host.tell({ kind: 'release', id: 1 });
    assert.deepEqual(host.targets, []);
  });
});

describe('giving everything back where a host has nothing free', () => {
  it('owes it also to a guest that was made smaller and speaks no more', () => {
    const guests = { quiet: sharedGuest({}), other: sharedGuest({ held: 50_000, isSilent: true }) };
    const host = new SharedHost({ total: 250_000, guests });
    host.liveUntil(200);
    assert.ok(guests.quiet.held < 60_000);
    guests.quiet.isSilent = true;
    Object.assign(guests.other, { held: 250_000 - guests.quiet.held, target: 250_000 - guests.quiet.held });
    host.liveUntil(210);
    host.tell({ kind: 'release', id: 1 });
    host.liveUntil(215);
    const stateOf = () => host.state.guests.get('quiet') ?? assert.fail();
    assert.ok(isOwed(stateOf()), 'its memory is forgotten');
    Object.assign(guests.other, { held: 40_000, target: 40_000 });
    host.liveUntil(220);
    assert.equal(guests.quiet.held, guests.quiet.maximum);
  });

  it('does not forget what a guest may have been promised before', () => {
    const guests = {
      late: sharedGuest({ held: 50_000, committed: 150_000, behaviour: 'late' }),
      other: sharedGuest({ held: 5_000, isSilent: true }),
    };
    const host = new SharedHost({ total: 210_000, guests, tunables: { selfballoon_interval: 1 } });
    host.liveUntil(3);
    const stateOf = () => host.state.guests.get('late') ?? assert.fail();
    const promised = promisedTo(stateOf());
    assert.ok(promised > 90_000);
    host.answerAfter = 1_000;
    const { id } = stateOf().pursuit ?? assert.fail();
    host.tell({ kind: 'action-failed', guest: 'late', id, code: 'ETIMEDOUT', message: 'no answer' });
    Object.assign(guests.other, { held: 120_000 });
    host.lookAtHost();
    host.tell({ kind: 'release', id: 1 });
    const { target, standing } = stateOf().pursuit ?? assert.fail();
    assert.ok(target < 50_000 + promised, `${target}`);
    assert.equal(standing, 50_000 + promised);
    assert.equal(promisedTo(stateOf()), promised);
  });
});

describe('a guest that had everything when it was released, and was never asked for anything', () => {
  it('is owed nothing because a later look took too long to say so', () => {
    let isLate = false;
    const guests = { whole: sharedGuest({ held: 200_000 }), small: sharedGuest({}) };
    const host = new SharedHost({
      total: 600_000,
      guests,
      sight: (reading) => (isLate ? { ...reading, current: NOT_REPORTED } : reading),
    });
    host.liveUntil(2);
    assert.deepEqual(host.targets, []);
    const stateOf = (guest: string) => host.state.guests.get(guest) ?? assert.fail();
    isLate = true;
    host.tell({ kind: 'release', id: 1 });
    host.liveUntil(10);
    assert.equal(stateOf('whole').reading?.current.known, false);
    assert.equal(isOwed(stateOf('whole')), false);
  });
});

describe('a guest that was just told to give something up when it is released', () => {
  it('is owed that where no look says what it holds, and has it as soon as one does', () => {
    let isLate = false;
    const guest = sharedGuest({ held: 200_000 });
    const sight: SharedHostOptions['sight'] = (reading) => (isLate ? { ...reading, current: NOT_REPORTED } : reading);
    const host = new SharedHost({ total: 600_000, guests: { guest }, sight });
    while (guest.target === 200_000) host.liveUntil(host.seconds + 1);
    isLate = true;
    host.liveUntil(host.seconds + 3);
    host.tell({ kind: 'release', id: 1 });
    host.liveUntil(host.seconds + 2);
    const stateOf = () => host.state.guests.get('guest') ?? assert.fail();
    assert.ok(isOwed(stateOf()), 'what it gave up is forgotten');
    isLate = false;
    host.liveUntil(host.seconds + 2);
    assert.deepEqual([guest.held, isOwed(stateOf())], [200_000, false]);
  });
});

describe('a look at a host that fails when guests wait for what it has', () => {
  const smaller = (): { readonly host: SharedHost; readonly guest: SharedGuest } => {
    const guest = sharedGuest({ held: 60_000, target: 60_000 });
    const host = new SharedHost({ total: 500_000, guests: { guest }, tunables: { selfballoon_interval: 60 } });
    host.liveUntil(30);
    return { host, guest };
  };
  const goBlind = (host: SharedHost, ask: () => void): void => {
    host.isReadable = false;
    ask();
    host.liveUntil(host.seconds + 2);
    host.isReadable = true;
    host.liveUntil(host.seconds + 3);
  };

  it('is tried again at once, and not after a whole interval, at the end', () => {
    const { host, guest } = smaller();
    goBlind(host, () => host.tell({ kind: 'release', id: 1 }));
    assert.equal(guest.held, 200_000);
  });

  it('is tried again at once after an alarm too', () => {
    const { host, guest } = smaller();
    goBlind(host, () => {
      host.alarm('guest');
    });
    assert.equal(guest.held, 200_000);
  });
});

describe('a guest that was told to give something up, and has not been seen to do so', () => {
  const toldJustNow = (): { readonly host: SharedHost; readonly guest: SharedGuest } => {
    const guest = sharedGuest({ held: 200_000, target: 200_000 });
    const host = new SharedHost({ total: 400_000, guests: { guest } });
    while (guest.target === 200_000) host.liveUntil(host.seconds + 1);
    assert.equal(guest.held, 200_000);
    return { host, guest };
  };

  it('is told otherwise when everything is given back, though it seemed to have it', () => {
    const { host, guest } = toldJustNow();
    host.tell({ kind: 'release', id: 1 });
    assert.equal(guest.target, 200_000);
    host.liveUntil(host.seconds + 20);
    assert.equal(guest.held, 200_000);
  });

  it('is told otherwise at an alarm, at once', () => {
    const { host, guest } = toldJustNow();
    host.alarm('guest');
    assert.equal(guest.target, 200_000);
  });
});

describe('a guest that has given something up since it was looked at, on a host that was looked at since', () => {
  /** The host has nothing besides. */
  const givenUp = (): { readonly host: SharedHost; readonly guest: SharedGuest } => {
    const guest = sharedGuest({ held: 200_000, target: 200_000, maximum: 300_000 });
    const host = new SharedHost({ total: 200_000, guests: { guest } });
    while (guest.target === 200_000) host.liveUntil(host.seconds + 1);
    host.seconds += 0.5;
    return { host, guest };
  };

  it('is promised that once at an alarm', () => {
    const { host, guest } = givenUp();
    guest.held = guest.target;
    host.lookAtHost();
    host.alarm('guest');
    assert.equal(guest.target, 200_000);
    host.checkPromises();
  });

  it('is not promised what was promised to somebody else since', () => {
    const guest = sharedGuest({ held: 200_000, target: 200_000, maximum: 300_000 });
    const other = sharedGuest({ held: 50_000, target: 50_000, maximum: 100_000, behaviour: 'late' });
    const host = new SharedHost({ total: 250_000, guests: { guest, other } });
    while (guest.target === 200_000) host.liveUntil(host.seconds + 1);
    host.seconds += 0.5;
    guest.held = guest.target;
    host.lookAtHost();
    host.alarm('other');
    assert.ok(other.target > 60_000);
    host.alarm('guest');
    host.checkPromises();
  });

  it('has at an alarm what it held also where it has given up nothing yet', () => {
    const { host, guest } = givenUp();
    host.lookAtHost();
    host.alarm('guest');
    assert.equal(guest.target, 200_000);
  });
});

describe('a guest that somebody else made smaller after it had everything back', () => {
  const madeSmaller = (): { readonly host: SharedHost; readonly guest: SharedGuest } => {
    const guest = sharedGuest({ held: 60_000, target: 60_000 });
    const host = new SharedHost({ total: 500_000, guests: { guest }, tunables: { selfballoon_interval: 60 } });
    host.liveUntil(2);
    host.alarm('guest');
    host.liveUntil(10);
    assert.equal(guest.held, 200_000);
    Object.assign(guest, { held: 120_000, target: 120_000 });
    return { host, guest };
  };

  it('has everything again soon after its next alarm, and not only in its next round', () => {
    const { host, guest } = madeSmaller();
    host.liveUntil(12);
    host.alarm('guest');
    host.liveUntil(14);
    assert.equal(guest.held, 200_000);
  });

  it('is looked at once a second at most, however many alarms it tells of', () => {
    const { host } = madeSmaller();
    host.liveUntil(12);
    const before = host.looks.get('guest') ?? 0;
    for (let second = 13; second <= 22; second += 1) {
      for (let alarms = 0; alarms < 10; alarms += 1) host.alarm('guest');
      host.liveUntil(second);
    }
    // At 12 s, and at the end of each second after it.
    assert.ok((host.looks.get('guest') ?? 0) - before <= 11);
  });
});

describe('giving back when the last look at the host is old', () => {
  for (const second of [200, 201, 202, 203, 204]) {
    it(`waits for a look, and then gives everything (${second} s)`, () => {
      const guests = { first: sharedGuest({}), second: sharedGuest({}) };
      const host = new SharedHost({ total: 500_000, guests });
      host.liveUntil(second);
      assert.ok(guests.first.held < 60_000);
      host.tell({ kind: 'release', id: 1 });
      host.liveUntil(second + 3);
      assert.deepEqual([guests.first.held, guests.second.held], [200_000, 200_000]);
    });
  }

  it('goes on until the host has the memory', () => {
    const guests = { first: sharedGuest({}), other: sharedGuest({ isSilent: true, held: 150_000, target: 150_000 }) };
    const host = new SharedHost({ total: 250_000, guests });
    host.liveUntil(200);
    host.tell({ kind: 'release', id: 1 });
    host.liveUntil(210);
    assert.equal(guests.first.held, 100_000);
    guests.other.held = 20_000;
    guests.other.target = 20_000;
    host.liveUntil(215);
    assert.equal(guests.first.held, 200_000);
  });

  it('asks a guest again that did not take it at first', () => {
    const guests = { late: sharedGuest({}) };
    const host = new SharedHost({ total: 500_000, guests });
    host.liveUntil(200);
    guests.late.behaviour = 'late';
    host.tell({ kind: 'release', id: 1 });
    host.liveUntil(215);
    assert.ok(guests.late.held < 60_000);
    guests.late.behaviour = 'obeys';
    host.liveUntil(250);
    assert.equal(guests.late.held, 200_000);
  });
});
