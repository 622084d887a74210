/** Protects the reading of the refault counter: what is noise, what is not, and that nothing is made of what nobody counted. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { knownAt, NOT_REPORTED, unknown, type Signal } from '../../src/control/signal.js';
import { missingBy, REFAULTS_START, watchRefaults, type RefaultSight } from '../../src/policies/refault-watch.js';
import { mib, mibToPages, millis, pages } from '../../src/units.js';
import { useSeed } from '../support/seed.js';

useSeed();

const CACHED = mibToPages(mib(300));

/** Looks at the counter, `[seconds, count]` each, and tells what was seen each time. */
function looksAt(looks: readonly (readonly [number, number])[], cached = CACHED): readonly RefaultSight[] {
  let memory = REFAULTS_START;
  return looks.map(([seconds, count]) => {
    const watched = watchRefaults(memory, knownAt(count, millis(seconds * 1_000)), cached);
    memory = watched.memory;
    return watched.sight;
  });
}

const lastOf = (...looks: readonly (readonly [number, number])[]): RefaultSight =>
  looksAt(looks).at(-1) ?? assert.fail();

describe('the refault counter', () => {
  it('says nothing at the first look', () => {
    assert.deepEqual(lastOf([0, 1_000_000]), { kind: 'beginning', isReboot: false });
  });

  it('tells the rate between two looks, by their own times', () => {
    const sight = lastOf([0, 1_000], [2.5, 1_010]);
    assert.ok(sight.kind === 'counted');
    assert.deepEqual([sight.fresh, sight.perMinute], [10, 240]);
  });

  it('takes a count that went back for a guest that was booted again, and begins anew', () => {
    assert.deepEqual(lastOf([0, 1_000], [5, 3]), { kind: 'beginning', isReboot: true });
    const sight = lastOf([0, 1_000], [5, 3], [10, 3]);
    assert.ok(sight.kind === 'counted' && sight.isQuiet);
  });

  it('makes nothing of a count that is no newer than the last', () => {
    assert.deepEqual(lastOf([0, 1_000], [5, 1_000], [5, 9_000]), { kind: 'nothing-new' });
    assert.deepEqual(lastOf([0, 1_000], [5, 1_000], [4, 9_000]), { kind: 'nothing-new' });
  });

  it('passes over what is no more than 0.05 % of the cache a minute', () => {
    const looks = Array.from({ length: 100 }, (_, at) => [at * 5, at * 3] as const);
    for (const sight of looksAt(looks).slice(1)) assert.ok(sight.kind === 'counted' && sight.isQuiet);
  });

  it('is not quiet at once after one read-ahead, and is again within a minute', () => {
    const sights = looksAt([0, 5, 10, 15, 55, 60].map((seconds) => [seconds, seconds === 0 ? 0 : 32] as const));
    const quiet = sights.map((sight) => sight.kind === 'counted' && sight.isQuiet);
    assert.deepEqual(quiet, [false, false, false, false, true, true]);
    assert.ok(sights.every((sight) => sight.kind !== 'counted' || !sight.isExcessive));
  });

  it('finds excessive what goes on, also when each look alone would pass', () => {
    const sights = looksAt(Array.from({ length: 100 }, (_, at) => [at * 5, at * 8] as const));
    const first = sights.findIndex((sight) => sight.kind === 'counted' && sight.isExcessive);
    assert.ok(first > 2 && first < 30, `at look ${first}`);
  });

  it('finds a whole working set excessive at the first look after it', () => {
    const sight = lastOf([0, 0], [5, 500]);
    assert.ok(sight.kind === 'counted' && sight.isExcessive && !sight.isQuiet);
  });

  for (const count of [-1, 0.5, Number.NaN, Infinity, 2 ** 60]) {
    it(`does not know what ${count} is`, () => {
      const { memory, sight } = watchRefaults(REFAULTS_START, knownAt(count, millis(0)), CACHED);
      assert.equal(sight.kind, 'unknown');
      assert.equal(memory, REFAULTS_START);
    });
  }

  it('says why it is not known', () => {
    const detailOf = (signal: Signal<number>): string => {
      const { sight } = watchRefaults(REFAULTS_START, signal, CACHED);
      return sight.kind === 'unknown' ? sight.detail : assert.fail();
    };
    assert.equal(detailOf(NOT_REPORTED), 'not-reported, not reported by this source');
    assert.equal(detailOf(unknown('stale', 'an hour ago')), 'stale, an hour ago');
  });

  it('never counts as missing more than there is cache', () => {
    assert.equal(missingBy(2 ** 52, CACHED), CACHED);
    assert.equal(missingBy(7, CACHED), 7);
  });

  it('remembers little, whatever it is told: bounded numbers, as JSON', () => {
    const count = fc.oneof(fc.nat(), fc.maxSafeNat(), fc.double());
    const look = fc.tuple(count, fc.integer({ min: -10_000, max: 10_000 }), fc.nat({ max: 2 ** 31 - 1 }));
    fc.assert(
      fc.property(fc.array(look, { maxLength: 30 }), (looks) => {
        let memory = REFAULTS_START;
        let [now, most] = [0, 64];
        for (const [value, passed, cached] of looks) {
          now += passed;
          memory = watchRefaults(memory, knownAt(value, millis(now)), pages(cached)).memory;
          most = Math.max(most, cached / 1_000);
          assert.ok(memory.excess >= 0 && memory.excess <= most);
          assert.deepEqual(JSON.parse(JSON.stringify(memory)), memory);
        }
      }),
    );
  });
});
