/** Protects guests that live from their page cache, and the rule under the guard: it takes what it took, and never more. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Wish } from '../../src/control/policy.js';
import { describeReason } from '../../src/control/describe.js';
import type { Reading } from '../../src/control/reading.js';
import { knownAt, NOT_REPORTED, unknown, type Signal } from '../../src/control/signal.js';
import { DEFAULT_TUNABLES, type Tunables } from '../../src/control/tunables.js';
import { bareHostPolicy, hostPolicy, SELFSHRINK_START, type HostMemory } from '../../src/policies/index.js';
import { millis, pages, type Pages } from '../../src/units.js';
import { readingOf } from '../support/readings.js';
import { useSeed } from '../support/seed.js';

useSeed();

/** What a guest of 1 GiB says at one look. In pages; everything else follows from it. */
interface Said {
  readonly current?: number;
  readonly free?: number;
  readonly cached?: number;
  readonly committed?: number;
  readonly refaults?: Signal<number> | number;
}

const signal = (count: number, at: number): Signal<Pages> => knownAt(pages(count), millis(at));

function saidAt(at: number, said: Said): Reading {
  const { current = 262_144, free = 10_000, cached = 200_000, committed = 20_000, refaults = 0 } = said;
  const sizes = { current, total: current - 3_000, free, committed, maximum: 262_144 };
  return {
    ...readingOf({ at: millis(at), available: free, ...sizes }),
    cached: signal(cached, at),
    swapTotal: signal(100_000, at),
    refaults: typeof refaults === 'number' ? knownAt(refaults, millis(at)) : refaults,
  };
}

/** One guest, looked at every five seconds. */
class Looked {
  memory: HostMemory = SELFSHRINK_START;
  at = 0;

  look(said: Said, { change = {}, tunables = {} }: { change?: Partial<Reading>; tunables?: Partial<Tunables> } = {}) {
    this.at += 5_000;
    const reading = { ...saidAt(this.at, said), ...change };
    const view = { reading, tunables: { ...DEFAULT_TUNABLES, ...tunables }, hasOverflowTier: false };
    const now = millis(this.at);
    const bare = bareHostPolicy.decide(view, this.memory, now).wish;
    const decided = hostPolicy.decide(view, this.memory, now);
    // What a journal holds is what it goes on with.
    this.memory = JSON.parse(JSON.stringify(decided.memory)) as HostMemory;
    assert.deepEqual(this.memory, decided.memory);
    return { wish: decided.wish, bare };
  }
}

const targetOf = (wish: Wish): number => (wish.kind === 'resize' ? wish.target : assert.fail(wish.reason.code));

/** One that lives from its cache and has just been found out. */
function foundOut(): { readonly guest: Looked; readonly wish: Wish } {
  const guest = new Looked();
  const poor = { current: 200_000, free: 1_000, cached: 70_000 };
  guest.look({ ...poor, refaults: 0 });
  return { guest, wish: guest.look({ ...poor, refaults: 3_000 }).wish };
}

describe('a guest that is looked at for the first time', () => {
  it('gives up what is free, and no page cache yet', () => {
    const { wish, bare } = new Looked().look({ free: 12_000 });
    assert.ok(targetOf(bare) < 262_144 - 12_000);
    // A thirty-second part stays free.
    assert.equal(targetOf(wish), 262_144 - (12_000 - 8_192));
    assert.equal(wish.reason.code, 'above-goal');
  });
});

describe('a guest that is quiet', () => {
  it('gives up free memory as fast as the rule takes it', () => {
    const guest = new Looked();
    guest.look({ free: 150_000, cached: 5_000 });
    const { wish, bare } = guest.look({ free: 150_000, cached: 5_000 });
    assert.deepEqual(wish, bare);
  });

  it('gives up its page cache in sixteenths', () => {
    const guest = new Looked();
    guest.look({ free: 1_000 });
    const { wish } = guest.look({ free: 1_000 });
    assert.equal(targetOf(wish), 262_144 - 200_000 / 16);
  });

  it('is above its goal, and not at its floor, while it goes there in such steps', () => {
    const guest = new Looked();
    const small = { current: 40_000, free: 1_000, cached: 25_000, committed: 1_000 };
    const tunables = { selfballoon_downhysteresis: 1, selfballoon_reserved_mb: 0 };
    guest.look(small, { tunables });
    const { wish, bare } = guest.look(small, { tunables });
    assert.deepEqual([bare.reason.code, wish.reason.code], ['at-floor', 'above-goal']);
  });
});

describe('a guest that reads back what it had lost', () => {
  it('loses nothing more from the first sign on', () => {
    const guest = new Looked();
    guest.look({ free: 1_000, refaults: 0 });
    const { wish, bare } = guest.look({ free: 1_000, refaults: 60 });
    assert.ok(targetOf(bare) < 262_144);
    assert.equal(targetOf(wish), 262_144);
    assert.deepEqual([wish.reason.code, wish.reason.numbers['refaults']], ['cache-in-use', 720]);
  });

  it('gets back more than it lost, at once, with the reason and its numbers', () => {
    const { wish } = foundOut();
    assert.ok(targetOf(wish) >= 200_000 + 70_000 / 8 + 3_000);
    assert.equal(wish.reason.code, 'cache-in-use');
    assert.match(
      describeReason(wish.reason),
      /^needs \d+ MiB \(.* for its page cache\): .* \(36000 pages a minute now\)$/,
    );
  });

  it('gets back what a step can have taken, though it has read back all of its cache in a circle', () => {
    const guest = new Looked();
    const poor = { current: 200_000, free: 1_000, cached: 70_000 };
    guest.look({ ...poor, refaults: 0 });
    const given = targetOf(guest.look({ ...poor, refaults: 70_000 }).wish);
    assert.ok(given >= 200_000 + 70_000 / 8 && given <= 200_000 + 70_000 / 4, `${given}`);
    // Its balloon has not moved yet.
    assert.equal(targetOf(guest.look({ ...poor, refaults: 140_000 }).wish), given);
  });

  it('is not given more while it only reads back, with memory to spare', () => {
    const { guest, wish } = foundOut();
    const given = targetOf(wish);
    const next = guest.look({ current: given, free: given - 200_000 + 900, cached: 70_100, refaults: 5_000 }).wish;
    assert.ok(Math.abs(targetOf(next) - given) < 300);
  });

  it('keeps what it got back while it is quiet, whatever the rule wishes', () => {
    const { guest, wish } = foundOut();
    const given = targetOf(wish);
    const rich = { current: given, free: given - 200_000 - 2_000, cached: 73_000, refaults: 3_000 };
    for (let looks = 0; looks < 55; looks += 1) {
      const { wish: next, bare } = guest.look(rich);
      assert.ok(targetOf(bare) < given);
      if (looks > 20) assert.equal(targetOf(next), given);
    }
  });

  it('keeps its cache when its processes want more memory: it grows by as much', () => {
    const { guest, wish } = foundOut();
    const given = targetOf(wish);
    const files = given - 200_000 + 71_000;
    const busy = { current: given, free: 1_000, cached: files - 11_000, refaults: 3_000 };
    for (let looks = 0; looks < 30; looks += 1) guest.look({ ...busy, free: 2_000, cached: files - 2_000 });
    assert.equal(targetOf(guest.look(busy).wish), given + 10_000);
  });

  it('is forgotten with its cache when it is booted again', () => {
    const { guest } = foundOut();
    assert.ok(guest.memory.cache?.need !== null);
    guest.look({ refaults: 5 });
    assert.equal(guest.memory.cache?.need, null);
  });

  it('is not counted while self-ballooning is off: that was not our doing', () => {
    const guest = new Looked();
    guest.look({ free: 1_000, refaults: 0 });
    guest.look({ free: 1_000, refaults: 10 ** 6 }, { tunables: { selfballooning: 0 } });
    assert.notEqual(guest.look({ free: 1_000, refaults: 2 * 10 ** 6 }).wish.reason.code, 'cache-in-use');
  });

  it('is left to the rule where the rule only holds', () => {
    const { guest } = foundOut();
    const { wish } = guest.look({ free: 1_000, refaults: 10 ** 6 }, { change: { swapTotal: signal(0, 0) } });
    assert.equal(wish.reason.code, 'no-swap');
  });
});

/** Pages that were freed lie on its processors' lists first, where nobody counts them, and what is taken comes from there. */
class Listed {
  current = 200_000;
  free = 1_000;
  listed = 0;
  readonly #listedMax = 10_700;

  resize(target: number): void {
    const listed = Math.min(this.#listedMax, Math.max(0, this.listed + target - this.current));
    this.free += target - this.current - (listed - this.listed);
    [this.current, this.listed] = [target, listed];
  }
}

describe('a guest whose kernel hides some of what is free', () => {
  for (const change of [40, -40]) {
    it(`stays as it is where it has ${change} pages more than before, and does not follow what is hidden`, () => {
      const { guest, wish } = foundOut();
      const kernel = new Listed();
      const look = (): void => {
        const { current, free } = kernel;
        kernel.resize(targetOf(guest.look({ current, free, cached: 70_000, refaults: 3_000 }).wish));
      };
      kernel.resize(targetOf(wish));
      for (let n = 0; n < 5; n += 1) look();
      const before = kernel.current;
      assert.ok(kernel.free + 70_000 > (71_000 * 33) / 32, 'it has more than was too little');
      // So that there is something to take, and room for what is given.
      kernel.listed = 5_000;
      kernel.free += change;
      for (let n = 0; n < 40; n += 1) look();
      assert.equal(kernel.current, before);
    });
  }
});

describe('a guest whose refaults nobody counts', () => {
  const looked = (said: Said, change: Partial<Reading> = {}) =>
    new Looked().look({ refaults: NOT_REPORTED, ...said }, { change });

  it('gives up what is free, keeps what it has filled, and the reason says what is missing', () => {
    const { wish } = looked({ free: 12_000 });
    assert.equal(targetOf(wish), 262_144 - (12_000 - 8_192));
    assert.deepEqual(
      [wish.reason.code, wish.reason.detail],
      ['cache-unwatched', 'refaults: not-reported, not reported by this source'],
    );
    assert.match(describeReason(wish.reason), /which nobody can tell \(refaults: not-reported, /);
  });

  it('gets room again when files have filled it', () => {
    const { wish } = looked({ current: 200_000, free: 1_000 });
    assert.equal(targetOf(wish), 199_000 + Math.floor(200_000 / 32));
  });

  it('keeps free what a kernel with huge pages does, where its reserve is not known', () => {
    const tells = { committed: NOT_REPORTED, reserve: NOT_REPORTED, used: signal(60_000, 0) };
    const { wish, bare } = looked({ free: 40_000 }, tells);
    assert.ok(targetOf(bare) < targetOf(wish));
    assert.equal(targetOf(wish), 262_144 - 40_000 + Math.floor(262_144 / 12));
  });

  it('is not taken for quiet when the count is missing once', () => {
    const { guest, wish } = foundOut();
    const given = targetOf(wish);
    const { wish: next } = guest.look({ current: given, free: 100, refaults: unknown('unreadable', 'x') });
    assert.ok(targetOf(next) >= given);
    assert.equal(next.reason.code, 'cache-unwatched');
  });

  it('keeps its size where what is free is not known either', () => {
    const { wish } = looked({}, { free: unknown('malformed', 'x') });
    assert.deepEqual([targetOf(wish), wish.reason.code], [262_144, 'cache-unwatched']);
  });

  it('keeps its size where its page cache is not known: the sentence names that', () => {
    const { wish } = looked({ refaults: 0, free: 1_000 }, { cached: unknown('stale', 'long ago') });
    assert.equal(wish.reason.detail, 'cached: stale, long ago');
    assert.ok(targetOf(wish) >= 262_144);
  });

  it('is moved by the rule alone where it tells one number and no other', () => {
    const silent = { free: NOT_REPORTED, cached: NOT_REPORTED, committed: NOT_REPORTED, swapTotal: NOT_REPORTED };
    const { wish, bare } = looked({}, { ...silent, used: signal(60_000, 0) });
    assert.equal(wish.kind, 'resize');
    assert.deepEqual(wish, bare);
  });
});

describe('whatever a guest says', () => {
  const size = fc.oneof(fc.nat({ max: 300_000 }), fc.nat({ max: 2 ** 40 }), fc.constant(0));
  const counter = fc.oneof(fc.nat({ max: 100_000 }), fc.maxSafeNat(), fc.double(), fc.constant(null));
  const look = fc.record({
    current: fc.integer({ min: 3_000, max: 2 ** 40 }),
    free: size,
    cached: size,
    committed: size,
    refaults: counter,
    missing: fc.subarray(['free', 'cached', 'committed', 'reserve', 'maximum', 'total'] as const, { maxLength: 2 }),
  });

  it('is never taken more than by the rule, never less than the rule gives, and nothing throws', () => {
    fc.assert(
      fc.property(fc.array(look, { minLength: 1, maxLength: 40 }), (looks) => {
        const guest = new Looked();
        for (const { refaults, missing, ...said } of looks) {
          const change = Object.fromEntries(missing.map((name) => [name, unknown('malformed', 'x')]));
          const counted = refaults === null ? NOT_REPORTED : knownAt(refaults, millis(guest.at + 5_000));
          const { wish, bare } = guest.look({ ...said, refaults: counted }, { change });
          assert.equal(wish.kind, bare.kind);
          if (wish.kind === 'hold' || bare.kind === 'hold') continue;
          assert.ok(wish.target >= bare.target && wish.goal >= bare.goal && Number.isSafeInteger(wish.target));
          assert.equal(wish.floor, bare.floor);
          assert.ok(Object.values(wish.reason.numbers).every(Number.isFinite));
          // No more than it has, in all that it has ever said, and as much again for its cache.
          const most = Math.max(...looks.map(({ current }) => current));
          assert.ok(wish.target <= Math.max(bare.target, 4 * most + 20_000));
        }
      }),
    );
  });

  it('keeps its cache where nothing is counted: no target is below what it has filled', () => {
    fc.assert(
      fc.property(fc.array(look, { minLength: 1, maxLength: 10 }), (looks) => {
        const guest = new Looked();
        for (const { current, free, cached, committed } of looks) {
          const { wish } = guest.look({ current, free, cached, committed, refaults: NOT_REPORTED });
          if (wish.kind === 'resize') assert.ok(wish.target >= current - Math.min(free, current));
        }
      }),
    );
  });
});
