import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { PRIORITY_BY_KERNEL, PRIORITY_MAX, priorityFor } from '../../src/overflow/priorities.js';
import { useSeed } from '../support/seed.js';

useSeed();

describe('the priority of a stripe whose own is not known', () => {
  const rows: readonly (readonly [string, number, readonly (number | null)[], number])[] = [
    ['first of three, none on', 0, [null, null, null], 102],
    ['last of three, none on', 2, [null, null, null], 100],
    ['between two that are on', 1, [12, null, 10], 11],
    ['the last, after one that is on', 1, [7, null], 6],
    ['two after one that is on', 3, [null, 9, null, null], 7],
    ['before one that is on', 0, [null, null, 4], 6],
    ['no room: the same as the next', 1, [5, null, 5], 5],
    ['below 0 the kernel numbers it', 1, [0, null], PRIORITY_BY_KERNEL],
    ['after one that the kernel numbered', 1, [-2, null], PRIORITY_BY_KERNEL],
    ['before one that the kernel numbered', 0, [null, -2], 0],
    ['never past the most there is', 0, [null, PRIORITY_MAX], PRIORITY_MAX],
  ];
  for (const [name, index, active, expected] of rows) {
    it(name, () => {
      assert.equal(priorityFor(index, active), expected);
    });
  }

  it('restored in any order, stripes with room between them are filled in the configured order', () => {
    const order = fc.integer({ min: 1, max: 32 }).chain((count) => {
      const indexes = Array.from({ length: count }, (_, index) => index);
      return fc.shuffledSubarray(indexes, { minLength: count, maxLength: count });
    });
    fc.assert(
      fc.property(order, (indexes) => {
        const active: (number | null)[] = indexes.map(() => null);
        for (const index of indexes) active[index] = priorityFor(index, active);
        const sorted = [...active].sort((a, b) => (b ?? 0) - (a ?? 0));
        assert.deepEqual(active, sorted);
        assert.equal(new Set(active).size, active.length);
      }),
    );
  });
});
