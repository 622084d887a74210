/** Protects the rhythm of a host of many guests: none is late by its own answers, and those of one beat do not become more and more. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { atNextBeat, onTheBeat } from '../../src/control/beat.js';
import { millis } from '../../src/units.js';
import { useSeed } from '../support/seed.js';

useSeed();

const BEAT_MS = 125;
/** Times since 1970 are floating-point numbers. */
const ROUNDING_MS = 0.01;
const anyTime = fc.double({ min: 0, max: 2e12, noNaN: true });
const anyInterval = fc.integer({ min: 1, max: 3_600 }).map((seconds) => seconds * 1_000);

describe('a beat', () => {
  it('is shared by all that come within it, and is never before they do', () => {
    fc.assert(
      fc.property(anyTime, (at) => {
        const next = atNextBeat(millis(at));
        assert.ok(next >= at - ROUNDING_MS && next - at <= BEAT_MS && next % BEAT_MS === 0);
      }),
    );
  });

  it('is kept, however late the answers are', () => {
    fc.assert(
      fc.property(anyTime, anyInterval, fc.double({ min: 0, max: 0.49, noNaN: true }), (at, interval, late) => {
        const due = atNextBeat(millis(at));
        const now = due + late * interval;
        assert.equal(onTheBeat(millis(now + interval), { due, now: millis(now) }), due + interval);
      }),
    );
  });

  it('leaves half an interval at least, and one and a half at most, whenever what was due could happen', () => {
    fc.assert(
      fc.property(anyTime, anyInterval, fc.double({ min: 0, max: 1e7, noNaN: true }), (at, interval, late) => {
        const due = millis(at);
        const now = at + late;
        const left = onTheBeat(millis(now + interval), { due, now: millis(now) }) - now;
        const most = 1.5 * interval + BEAT_MS;
        assert.ok(left >= interval / 2 - ROUNDING_MS && left <= most + ROUNDING_MS, `${left} of ${interval}`);
      }),
    );
  });
});
