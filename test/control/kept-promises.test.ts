/**
 * Protects what a guest was promised and others are not: for as long as the guest may still take it, and no longer. Each shown both ways.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { promisedTo } from '../../src/control/guest-state.js';
import { NOT_REPORTED } from '../../src/control/signal.js';
import type { Tunables } from '../../src/control/tunables.js';
import { BLOCK, sharedGuest, SharedHost, type SharedGuest } from '../support/shared-host.js';

describe('a target that failed', () => {
  const promisedAfter = (code: 'EIO' | 'ETIMEDOUT' | 'EUNAVAILABLE'): number => {
    const host = new SharedHost({
      total: 210_000,
      guests: { late: sharedGuest({ held: 50_000, committed: 150_000, behaviour: 'late' }) },
    });
    host.liveUntil(5);
    const stateOf = () => host.state.guests.get('late') ?? assert.fail();
    assert.ok(promisedTo(stateOf()) > 90_000);
    const { id } = stateOf().pursuit ?? assert.fail();
    host.tell({ kind: 'action-failed', guest: 'late', id, code, message: 'it failed' });
    return promisedTo(stateOf());
  };

  it('because it was refused is no promise: what it would have taken is there for the others', () => {
    assert.equal(promisedAfter('EIO'), 0);
  });

  it('because it was refused is no promise where nobody knows what the guest holds either', () => {
    let isBlind = false;
    const host = new SharedHost({
      total: 210_000,
      guests: { late: sharedGuest({ held: 50_000, committed: 150_000, behaviour: 'late' }) },
      sight: (reading) => (isBlind ? { ...reading, current: NOT_REPORTED } : reading),
    });
    host.liveUntil(5);
    isBlind = true;
    host.liveUntil(7);
    const stateOf = () => host.state.guests.get('late') ?? assert.fail();
    const { id, target } = stateOf().pursuit ?? assert.fail();
    assert.equal(promisedTo(stateOf()), target);
    host.tell({ kind: 'action-failed', guest: 'late', id, code: 'EIO', message: 'it failed' });
    assert.equal(promisedTo(stateOf()), 0);
  });

  it('leaves what the guest was promised before, where it was to be told less: the guest may still take that', () => {
    for (const code of ['EIO', 'ETIMEDOUT', 'EUNAVAILABLE'] as const) {
      const late = sharedGuest({ held: 50_000, committed: 150_000, behaviour: 'late' });
      const host = new SharedHost({ total: 210_000, guests: { late }, tunables: { selfballoon_interval: 1 } });
      const stateOf = () => host.state.guests.get('late') ?? assert.fail();
      host.liveUntil(3);
      const before = promisedTo(stateOf());
      host.answerAfter = 1_000;
      late.committed = 60_000;
      host.liveUntil(4);
      const { id, target, phase } = stateOf().pursuit ?? assert.fail();
      assert.ok(phase === 'asked' && target - 50_000 < before, `${phase} ${target}`);
      host.tell({ kind: 'action-failed', guest: 'late', id, code, message: 'it failed' });
      assert.equal(promisedTo(stateOf()), before, code);
    }
  });

  it('leaves that no longer than until a request is taken', () => {
    const late = sharedGuest({ held: 50_000, committed: 150_000, behaviour: 'late' });
    const host = new SharedHost({ total: 210_000, guests: { late }, tunables: { selfballoon_interval: 1 } });
    host.liveUntil(3);
    late.committed = 60_000;
    host.liveUntil(4);
    assert.equal(promisedTo(host.state.guests.get('late') ?? assert.fail()), late.target - late.held);
    assert.ok(late.target < 80_000, `${late.target}`);
  });

  it('because nobody answered may have got through, and stays a promise', () => {
    assert.ok(promisedAfter('ETIMEDOUT') > 90_000);
    assert.ok(promisedAfter('EUNAVAILABLE') > 90_000);
  });
});

describe('a target of which nobody knows whether it was told', () => {
  const doubtful = (tunables: Partial<Tunables> = {}) => {
    const late = sharedGuest({ held: 50_000, committed: 150_000, behaviour: 'late' });
    const host = new SharedHost({
      total: 210_000,
      guests: { late },
      tunables: { selfballoon_interval: 1, ...tunables },
    });
    host.liveUntil(3);
    const stateOf = () => host.state.guests.get('late') ?? assert.fail();
    assert.ok(promisedTo(stateOf()) > 90_000);
    const fail = (): void => {
      const { id } = stateOf().pursuit ?? assert.fail();
      host.tell({ kind: 'action-failed', guest: 'late', id, code: 'EUNAVAILABLE', message: 'no connection' });
    };
    return { host, late, stateOf, fail };
  };

  it('is no promise for ever where the guest is asked for nothing any more: it is told to stay where it is', () => {
    const { host, late, stateOf, fail } = doubtful();
    host.answerAfter = 1_000;
    late.isSilent = true;
    fail();
    host.liveUntil(host.seconds + 1);
    assert.ok(promisedTo(stateOf()) > 90_000, 'it may take it yet');
    host.answerAfter = 0;
    host.liveUntil(host.seconds + 10);
    assert.equal(promisedTo(stateOf()), 0);
    assert.equal(late.target, late.held);
  });

  it('is not ended while the guest takes it', () => {
    const { host, late, fail } = doubtful();
    late.isSilent = true;
    fail();
    const promised = late.target;
    while (late.held + 5_000 < promised) {
      late.held += 5_000;
      host.liveUntil(host.seconds + 1);
      assert.equal(late.target, promised, `it was stopped at ${late.held}`);
    }
  });

  it('is ended where the guest goes back and forth, and comes no nearer', () => {
    const { host, late, stateOf, fail } = doubtful({ selfballoon_interval: 2 });
    late.isSilent = true;
    fail();
    for (let second = 0; second < 40; second += 1) {
      late.held = 50_000 + (Math.floor(second / 2) % 2);
      host.liveUntil(host.seconds + 1);
    }
    assert.equal(promisedTo(stateOf()), 0);
  });

  it('is none either where self-ballooning is switched off', () => {
    const { host, late, stateOf, fail } = doubtful();
    fail();
    host.tell({ kind: 'tunable-write', id: 1, name: 'selfballooning', text: '0', mayChange: true });
    host.liveUntil(host.seconds + 10);
    assert.equal(promisedTo(stateOf()), 0);
    assert.equal(late.target, late.held);
  });

  it('is asked for again while the guest needs it, and not taken back', () => {
    const { host, late, fail } = doubtful();
    const before = host.targets.length;
    fail();
    for (let second = 0; second < 10; second += 1) {
      host.liveUntil(host.seconds + 1);
      fail();
    }
    const since = host.targets.slice(before);
    assert.ok(since.length >= 5, `${since.length}`);
    assert.ok(since.every(({ target }) => target > late.held));
  });
});

describe('a guest that does not take what it was promised', () => {
  const guests = (): Record<string, SharedGuest> => ({
    stuck: sharedGuest({ held: 50_000, committed: 150_000, behaviour: 'ignores' }),
    busy: sharedGuest({ held: 50_000, committed: 150_000 }),
  });

  it('is noticed within 5 s of being asked, named, and the others get its share', () => {
    const host = new SharedHost({ total: 210_000, guests: guests() });
    host.liveUntil(5);
    const asked = host.targets.find(({ guest }) => guest === 'stuck')?.at ?? assert.fail();
    host.liveUntil(asked + 5);
    assert.ok(host.told.includes('stuck stuck'));
    assert.equal(host.guest('stuck').target, 50_000);
    host.liveUntil(asked + 12);
    assert.ok(host.guest('busy').held > 150_000, `${host.guest('busy').held}`);
  });

  // Where nobody answers, taking a promise back has no answer either, and it is asked again after that.
  for (const [what, answerAfter, secondsMax] of [
    ['answers come later than the next request', 2, 40],
    ['no answer comes at all', null, 60],
  ] as const) {
    it(`loses its promise also where ${what}`, () => {
      const guests = {
        greedy: sharedGuest({ held: 50_000, target: 50_000, committed: 150_000, behaviour: 'ignores' }),
        busy: sharedGuest({ held: 50_000, target: 50_000, committed: 20_000 }),
      };
      const host = new SharedHost({ total: 230_000, guests, tunables: { selfballoon_interval: 1 } });
      host.answerAfter = answerAfter;
      host.liveUntil(20);
      assert.ok(host.told.includes('greedy stuck'), host.told.join());
      let promised = 0;
      for (let second = 21; second <= 140; second += 1) {
        host.liveUntil(second);
        if (guests.greedy.target > guests.greedy.held) promised += 1;
      }
      assert.ok(promised <= secondsMax, `it kept a promise for ${promised} of 120 s`);
    });
  }

  it('keeps its promise where taking it back fails, until that is done', () => {
    const host = new SharedHost({ total: 210_000, guests: guests() });
    const stateOf = () => host.state.guests.get('stuck') ?? assert.fail();
    while (promisedTo(stateOf()) === 0) host.liveUntil(host.seconds + 1);
    const promised = promisedTo(stateOf());
    host.answerAfter = 1_000;
    while (stateOf().pursuit?.isWithdrawn !== true) host.liveUntil(host.seconds + 1);
    const { id } = stateOf().pursuit ?? assert.fail();
    host.tell({ kind: 'action-failed', guest: 'stuck', id, code: 'EUNAVAILABLE', message: 'lost' });
    host.answerAfter = 0;
    assert.equal(promisedTo(stateOf()), promised);
    host.liveUntil(host.seconds + 40);
    assert.equal(promisedTo(stateOf()), 0);
  });

  it('is tried again after half a minute, told of once, and known as uncooperative after a minute', () => {
    const host = new SharedHost({ total: 400_000, guests: guests() });
    host.liveUntil(120);
    const growths = host.targets.filter(({ guest, target }) => guest === 'stuck' && target > 50_000);
    const pauses = growths.slice(1).map(({ at }, n) => at - (growths[n]?.at ?? 0));
    assert.ok(growths.length >= 3 && pauses.every((pause) => pause >= 30), pauses.join(' '));
    assert.equal(host.told.filter((line) => line === 'stuck uncooperative').length, 1);
  });

  it('is asked as before when it moves again', () => {
    const host = new SharedHost({ total: 400_000, guests: guests() });
    host.liveUntil(30);
    host.guest('stuck').behaviour = 'obeys';
    host.liveUntil(60);
    assert.ok(host.guest('stuck').held > 150_000);
    assert.ok(host.told.includes('stuck obeys-again'));
  });

  it('does not become lively by standing at the size that it was left with', () => {
    const host = new SharedHost({ total: 210_000, guests: guests() });
    host.liveUntil(30);
    assert.equal(host.state.guests.get('stuck')?.pursuit?.phase, 'stuck');
    assert.equal(host.state.guests.get('stuck')?.decision?.reason.code, 'left-out');
    assert.ok(!host.told.includes('stuck obeys-again'));
  });
});

describe('what was promised to a guest to be plugged in', () => {
  /** It was told that it may plug in memory, and does not. */
  const promised = () => {
    const deaf = sharedGuest({ held: 200_000, pluggable: 400 * BLOCK, committed: 250_000, plugging: 'never' });
    let isAskedSeen = true;
    const host = new SharedHost({
      total: 800_000,
      guests: { deaf },
      tunables: { selfballoon_interval: 1 },
      sight: (reading) =>
        isAskedSeen || reading.growth === undefined
          ? reading
          : { ...reading, growth: { ...reading.growth, asked: NOT_REPORTED } },
    });
    const stateOf = () => host.state.guests.get('deaf') ?? assert.fail();
    while (promisedTo(stateOf()) === 0) host.liveUntil(host.seconds + 1);
    isAskedSeen = false;
    host.liveUntil(host.seconds + 2);
    const fail = (): void => {
      const { id } = stateOf().growth?.pursuit ?? assert.fail();
      host.tell({ kind: 'action-failed', guest: 'deaf', id, code: 'ETIMEDOUT', message: 'no answer' });
    };
    return { host, deaf, stateOf, fail };
  };

  it('stands where taking it back fails, until that is done', () => {
    const { host, deaf, stateOf, fail } = promised();
    const before = promisedTo(stateOf());
    assert.ok(before > 0);
    host.answerAfter = 1_000;
    while (stateOf().growth?.pursuit?.target !== 0) host.liveUntil(host.seconds + 1);
    fail();
    assert.equal(promisedTo(stateOf()), before);
    deaf.isSilent = true;
    host.answerAfter = 0;
    host.liveUntil(host.seconds + 15);
    assert.equal(promisedTo(stateOf()), 0);
  });

  it('is not kept for ever where nobody knows whether the guest was told, and it is asked for nothing any more', () => {
    const { host, deaf, stateOf, fail } = promised();
    deaf.isSilent = true;
    fail();
    assert.ok(promisedTo(stateOf()) > 0);
    host.liveUntil(host.seconds + 15);
    assert.deepEqual([promisedTo(stateOf()), deaf.plugTarget], [0, 0]);
  });
});

describe('a guest that does not give up what it was told to', () => {
  it('is told so all the same, and never to stay at what it holds', () => {
    const keeps = sharedGuest({ held: 200_000, behaviour: 'ignores' });
    const host = new SharedHost({ total: 400_000, guests: { keeps } });
    host.liveUntil(60);
    assert.ok(host.told.includes('keeps stuck'), host.told.join());
    assert.deepEqual(
      host.targets.filter(({ target }) => target >= 200_000),
      [],
    );
    assert.equal(host.state.guests.get('keeps')?.pursuit?.isWithdrawn, false);
  });
});
