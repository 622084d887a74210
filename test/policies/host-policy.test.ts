/** Protects the rule for guests seen from outside: exact where a guest reports all, careful where it reports little or nothing. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Wish } from '../../src/control/policy.js';
import type { Reading } from '../../src/control/reading.js';
import { knownAt, NOT_REPORTED, unknown, type Signal } from '../../src/control/signal.js';
import { DEFAULT_TUNABLES, type Tunables } from '../../src/control/tunables.js';
import { hostPolicy, preferredPages, selfPolicy, SELFSHRINK_START, usedMemoryWish } from '../../src/policies/index.js';
import { mib, mibToPages, millis, pages, type Pages } from '../../src/units.js';
import { readingOf } from '../support/readings.js';

const NOW = millis(10_000);
const inPages = (size: number): Pages => mibToPages(mib(size));
const known = (count: number): Signal<Pages> => knownAt(pages(count), NOW);
const SILENT: Partial<Reading> = { committed: NOT_REPORTED, total: NOT_REPORTED };

function wishOf(
  change: Partial<Reading>,
  tunables: Partial<Tunables> = {},
  { policy = hostPolicy, deflatesOnOom = false } = {},
): Wish {
  const reading = { ...readingOf({ at: NOW }), ...change };
  const view = { reading, tunables: { ...DEFAULT_TUNABLES, ...tunables }, hasOverflowTier: false, deflatesOnOom };
  return policy.decide(view, SELFSHRINK_START, NOW).wish;
}

describe('the rule for guests seen from outside', () => {
  it('is self-ballooning, number for number, where a guest reports all and has swap', () => {
    for (const committed of [10_000, 60_000, 200_000]) {
      const change = { committed: known(committed), swapTotal: known(50_000) };
      assert.deepEqual(wishOf(change), wishOf(change, {}, { policy: selfPolicy }));
    }
  });

  it('leaves a guest alone that reports nothing', () => {
    const wish = wishOf(SILENT);
    assert.deepEqual([wish.kind, wish.reason.code], ['hold', 'no-report']);
  });

  it('does not take silence for “never reported”: what was known and is stale makes it hold for that reason', () => {
    const wish = wishOf({ committed: unknown('stale', 'true an hour ago') });
    assert.deepEqual([wish.kind, wish.reason.code], ['hold', 'signal-unknown']);
  });

  it('gives by what is used, and takes nothing, where the promises are stale and the use is not', () => {
    const [committed, swapTotal] = [unknown('stale', 'true an hour ago'), unknown('stale', 'true an hour ago')];
    const silent = { committed, swapTotal, current: known(200_000) };
    const idle = wishOf({ ...silent, used: known(10_000) });
    assert.deepEqual([idle.kind, idle.reason.code], ['hold', 'signal-unknown']);
    const busy = wishOf({ ...silent, used: known(190_000) });
    assert.ok(busy.kind === 'resize' && busy.target > 200_000);
  });

  it('asks a guest without swap for nothing, and lets it grow', () => {
    const swapTotal = known(0);
    assert.deepEqual(wishOf({ swapTotal }).reason.code, 'no-swap');
    const growing = wishOf({ swapTotal, committed: known(300_000) });
    assert.ok(growing.kind === 'resize' && growing.target > 134_072);
  });

  it('takes a guest that reports all but its swap for one without', () => {
    assert.equal(wishOf({ swapTotal: NOT_REPORTED }).reason.code, 'no-swap');
  });

  it('asks it for what the law would have where its balloon lets go by itself, and never for less than it has promised', () => {
    for (const committed of [10_000, 100_000, 120_000]) {
      const change = { committed: known(committed), swapTotal: known(0) };
      const wish = wishOf(change, {}, { deflatesOnOom: true });
      assert.deepEqual(wish, wishOf(change, {}, { policy: selfPolicy }));
      assert.ok(wish.kind === 'resize' && wish.goal >= committed);
    }
  });

  it('is needed: the bare law takes from a guest without swap as from any other', () => {
    const wish = wishOf({ swapTotal: known(0) }, {}, { policy: selfPolicy });
    assert.ok(wish.kind === 'resize' && wish.target < 134_072);
  });

  it('goes by what is used where that is all that is told', () => {
    const wish = wishOf({ ...SILENT, used: known(100_000), current: known(200_000) });
    assert.ok(wish.kind === 'resize');
    assert.deepEqual([wish.goal, wish.target, wish.reason.code], [130_000, 191_250, 'above-goal']);
  });

  it('gives a guest more where nothing is known but that little is available, whatever would catch it, and takes nothing by that', () => {
    for (const committed of [NOT_REPORTED, unknown('stale', 'true an hour ago')] as const) {
      const change = { ...SILENT, committed, total: known(190_000), swapTotal: NOT_REPORTED, current: known(200_000) };
      const short = wishOf({ ...change, available: known(2_000) });
      assert.ok(short.kind === 'resize' && short.target > 200_000, JSON.stringify(short));
      assert.equal(wishOf({ ...change, available: known(150_000) }).kind, 'hold');
      // Less than is preferred for the least of guests, and no want of more.
      assert.equal(wishOf({ ...change, current: known(30_000), available: known(20_000) }).kind, 'hold');
    }
  });

  it('says what is wrong with the one number of a guest that tells no other', () => {
    const used = unknown('malformed', 'memory/meminfo is no number');
    const wish = wishOf({ ...SILENT, used });
    assert.deepEqual(wish.reason, {
      code: 'signal-unknown',
      numbers: {},
      detail: 'used: malformed, memory/meminfo is no number',
    });
  });

  it('does nothing while self-ballooning is off', () => {
    assert.equal(wishOf({}, { selfballooning: 0 }).reason.code, 'switched-off');
  });
});

describe('the rule by what is used', () => {
  const tunables = { selfballoon_downhysteresis: 8, selfballoon_uphysteresis: 1, selfballoon_min_usable_mb: 0 };
  const cases: readonly (readonly [string, number, number])[] = [
    ['nothing used', 0, 200],
    ['just below the minimum', 153, 200],
    ['above it', 200, 260],
    ['a large guest', 10_000, 13_000],
  ];
  for (const [what, used, preferred] of cases) {
    it(`prefers ${preferred} MiB for ${used} MiB in use (${what})`, () => {
      assert.equal(preferredPages(inPages(used)), inPages(preferred));
    });
  }

  it('moves down by an eighth of the way, and up at once', () => {
    const down = usedMemoryWish(inPages(200), inPages(1_060), tunables);
    const up = usedMemoryWish(inPages(1_000), inPages(400), tunables);
    assert.ok(down.kind === 'resize' && up.kind === 'resize');
    assert.equal(down.target, inPages(960));
    assert.equal(up.target, inPages(1_300));
  });

  it('never goes below 200 MiB or the least usable memory that was set', () => {
    const least = usedMemoryWish(pages(0), inPages(201), { ...tunables, selfballoon_downhysteresis: 1 });
    const set = usedMemoryWish(pages(0), inPages(900), {
      ...tunables,
      selfballoon_downhysteresis: 1,
      selfballoon_min_usable_mb: 512,
    });
    assert.ok(least.kind === 'resize' && set.kind === 'resize');
    assert.deepEqual([least.target, set.target], [inPages(200), inPages(512)]);
  });
});
