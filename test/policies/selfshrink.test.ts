/** Protects self-shrinking's patience: quiet steps before it starts, a part at a time, all when little is left. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { SELFSHRINK_START, selfshrinkStep, type SelfshrinkMemory } from '../../src/policies/index.js';
import { pages } from '../../src/units.js';
import { useSeed } from '../support/seed.js';

useSeed();

const TUNABLES = { frontswap_hysteresis: 20, frontswap_inertia: 3 };

function run(counts: readonly number[], tunables = TUNABLES): readonly (number | null)[] {
  let memory: SelfshrinkMemory = SELFSHRINK_START;
  return counts.map((count) => {
    const step = selfshrinkStep(memory, pages(count), tunables);
    memory = step.memory;
    return step.shrinkTo;
  });
}

describe('self-shrinking', () => {
  it('waits for three quiet steps after the tier grew', () => {
    assert.deepEqual(run([1_000, 1_000, 1_000, 1_000, 950]), [null, null, null, 950, 903]);
  });

  it('begins its wait again whenever the tier grows', () => {
    assert.deepEqual(run([1_000, 1_000, 1_000, 1_001, 1_001, 1_001, 1_001]), [null, null, null, null, null, null, 951]);
  });

  it('rests while the tier is empty', () => {
    assert.deepEqual(run([0, 0, 0, 0, 0]), [null, null, null, null, null]);
  });

  it('brings everything home when no more than the divisor is left', () => {
    assert.deepEqual(run([20, 20, 20, 20]), [null, null, null, 0]);
  });

  it('never asks for more than is there, and always for less when it asks', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 2 ** 34 }), { maxLength: 50 }),
        fc.integer({ min: 1, max: 1000 }),
        fc.integer({ min: 1, max: 10 }),
        (counts, frontswap_hysteresis, frontswap_inertia) => {
          run(counts, { frontswap_hysteresis, frontswap_inertia }).forEach((to, n) => {
            const seen = counts[n] ?? 0;
            assert.ok(to === null || (to >= 0 && to < seen));
            assert.ok(to === null || n === 0 || seen <= (counts[n - 1] ?? 0));
          });
        },
      ),
    );
  });
});
