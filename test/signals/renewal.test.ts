/** Protects that a guest's late answer is noticed at the look that it was too late for, and that silence is not taken for one. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Renewal } from '../../src/signals/renewal.js';
import { millis } from '../../src/units.js';

/** One look after the other: when it began, in ms, and the second that it found. */
function late(...looks: readonly (readonly [at: number, lastUpdate: number | null])[]): readonly boolean[] {
  const renewal = new Renewal();
  return looks.map(([at, lastUpdate]) => renewal.isLate(lastUpdate, millis(at)));
}

describe('statistics', () => {
  it('are late where a look finds what the look a second before has found', () => {
    assert.deepEqual(late([1_000, 0], [2_000, 1], [3_000, 1], [4_000, 3]), [false, false, true, false]);
    assert.deepEqual(late([1_200, 0], [2_190, 1], [3_195, 1]), [false, false, true]);
  });

  it('are late where fewer seconds than have passed between two looks lie between what they found', () => {
    assert.deepEqual(late([5_000, 4], [10_000, 9], [15_000, 13], [20_000, 19]), [false, false, true, false]);
  });

  it('are not late at a look that comes less than a second after another, and that one counts for nothing', () => {
    assert.deepEqual(late([1_000, 0], [2_000, 1], [2_400, 1], [3_000, 2]), [false, false, false, false]);
  });

  it('are not late of a guest that has never given any, or has given none for more than 3 s', () => {
    assert.deepEqual(late([1_000, 0], [2_000, 0], [3_000, 0]), [false, false, false]);
    assert.deepEqual(late([1_000, null], [2_000, null]), [false, false]);
    const stopped = late([1_000, 0], [2_000, 1], [3_000, 1], [4_000, 1], [5_000, 1], [6_000, 1], [7_000, 1]);
    assert.deepEqual(stopped, [false, false, true, true, true, false, false]);
  });
});
