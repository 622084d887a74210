/** Protects that polling begins anew shortly before a look, in time, and no more often than it must. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { knownAt, unknown } from '../../src/control/signal.js';
import { askAt, isDueAnew, isInTime, isToldInside } from '../../src/signals/polling-phase.js';
import { millis, pages } from '../../src/units.js';

const beat = { length: millis(1_000), phase: millis(200) };

describe('the time at which a guest is asked', () => {
  it('is 50 ms before the next beat of its looks, as soon as that is no more than now', () => {
    assert.equal(askAt(beat, millis(3_202)), 4_150);
    assert.equal(askAt(beat, millis(4_150)), 4_150);
    assert.equal(askAt(beat, millis(4_151)), 5_150);
    assert.equal(askAt(beat, millis(4_199)), 5_150);
  });
});

describe('a question that comes late', () => {
  it('is asked as long as an answer to it can come before the look', () => {
    assert.ok(isInTime(millis(4_150), millis(4_175)));
    assert.ok(!isInTime(millis(4_150), millis(4_176)));
  });
});

describe('polling', () => {
  it('begins anew where it was never begun at such a time, and then every 10 s', () => {
    assert.ok(isDueAnew(null, millis(3_950)));
    assert.ok(!isDueAnew(millis(3_950), millis(12_950)));
    assert.ok(isDueAnew(millis(3_950), millis(13_950)));
  });

  it('begins anew every 10 s also where looks come a little early', () => {
    assert.ok(isDueAnew(millis(3_950), millis(13_926)));
  });
});

describe('a guest', () => {
  const said = (at: number) => ({ available: knownAt(pages(1_000), millis(at)) });
  const silent = { available: unknown('stale', 'it hangs') };

  it('is told of by whoever is inside as long as he is believed before its statistics', () => {
    assert.ok(isToldInside([said(1_000)], millis(6_000)));
    assert.ok(!isToldInside([said(1_000)], millis(6_001)));
    assert.ok(isToldInside([silent, said(1_000)], millis(1_000)));
  });

  it('is not told of by nobody, by one who is silent, nor by one who says something else', () => {
    for (const sources of [[], [silent], [{}]]) assert.ok(!isToldInside(sources, millis(0)));
  });
});
