/** Protects that a look is only expected where looks came evenly, and when it is. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LookRhythm } from '../../src/signals/look-rhythm.js';
import { millis } from '../../src/units.js';

const after = (...times: readonly number[]): LookRhythm => {
  const looks = new LookRhythm();
  for (const at of times) looks.note(millis(at));
  return looks;
};

describe('the next look', () => {
  it('is expected as long after the last as that came after the one before', () => {
    assert.equal(after(1_000, 2_000, 3_000).next, 4_000);
    assert.equal(after(5_000, 10_004, 15_001).next, 19_998);
  });

  it('is not expected before three looks, nor after one that came between two', () => {
    for (const times of [[], [1_000], [1_000, 2_000], [1_000, 2_000, 2_400], [1_000, 2_000, 2_400, 3_000]]) {
      assert.equal(after(...times).next, null, String(times));
    }
    assert.equal(after(1_000, 2_000, 2_400, 3_000, 4_000).next, null);
    assert.equal(after(1_000, 2_000, 2_400, 3_000, 4_000, 5_000).next, 6_000);
  });

  it('is not expected after one that was late by more than a beat is ever late', () => {
    assert.equal(after(1_000, 2_000, 3_025).next, 4_050);
    assert.equal(after(1_000, 2_000, 3_026).next, null);
  });

  it('has a gap before it as soon as there were two', () => {
    assert.equal(after(1_000).gap, null);
    assert.equal(after(1_000, 1_400).gap, 400);
  });
});
