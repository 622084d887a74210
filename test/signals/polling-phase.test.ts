/** Protects that polling begins anew shortly before a look, in time, and no more often than it must. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { knownAt, unknown } from '../../src/control/signal.js';
import { LookRhythm } from '../../src/signals/look-rhythm.js';
import { askBefore, isDueAnew, isToldInside } from '../../src/signals/polling-phase.js';
import { millis, pages } from '../../src/units.js';

const everySecond = new LookRhythm();
for (const at of [1_000, 2_000, 3_000]) everySecond.note(millis(at));

describe('the time at which a guest is asked', () => {
  it('is 50 ms before the next look', () => {
    assert.equal(askBefore(everySecond, millis(3_002)), 3_950);
    assert.equal(askBefore(everySecond, millis(3_950)), 3_950);
  });

  it('is none when it has passed, or when the next look cannot be told', () => {
    assert.equal(askBefore(everySecond, millis(3_951)), null);
    assert.equal(askBefore(new LookRhythm(), millis(0)), null);
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
