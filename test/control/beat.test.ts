/** Protects the rhythm of a host of many guests: none is late by its own answers, and each keeps its beat whatever happens between two. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { beatFrom, beatNear, beatOf, nextBeat, type Beat } from '../../src/control/beat.js';
import type { GuestDescription } from '../../src/control/ports.js';
import { millis } from '../../src/units.js';
import { useSeed } from '../support/seed.js';

useSeed();

/** Times since 1970 are floating-point numbers. */
const ROUNDING_MS = 0.01;
const anyTime = fc.double({ min: 1, max: 2e12, noNaN: true });
const anyInterval = fc.integer({ min: 1, max: 3_600 }).map((seconds) => millis(seconds * 1_000));
const upTo = (max: number) => fc.double({ min: 0, max, noNaN: true });

const guest = (id: string, over: Partial<GuestDescription> = {}): GuestDescription => ({
  id,
  name: id,
  capabilities: { canSetTarget: true, hasOverflowTier: false, isSimulated: true },
  pool: 'host',
  ...over,
});
const anyBeat = fc.tuple(fc.string(), anyInterval, fc.boolean()).map(([id, interval, isSeenWithAll]) => {
  const beat = beatOf(guest(id, { isSeenWithAll }), interval);
  assert.ok(beat !== null);
  return { interval, beat };
});

const isOn = (at: number, { length, phase }: Beat): boolean => (at - phase) % length === 0;

describe('the beat of a guest', () => {
  it('is one of five in a second, by its name, with about as many guests on each', () => {
    const counts = new Map<number, number>();
    for (let n = 0; n < 200; n += 1) {
      const { phase = NaN, length } = beatOf(guest(`qmp/guest-${n}`), millis(5_000)) ?? {};
      assert.equal(length, 1_000);
      counts.set(phase, (counts.get(phase) ?? 0) + 1);
    }
    assert.deepEqual(
      [...counts.keys()].sort((a, b) => a - b),
      [0, 200, 400, 600, 800],
    );
    for (const count of counts.values()) assert.ok(count >= 25 && count <= 55, `${count} of 200`);
  });

  it('is as long as the interval, and the same for all, where one look is at all of them; a new one waits 10 s at most', () => {
    const lengths = [1, 5, 10, 3_600].map(
      (s) => beatOf(guest('a', { isSeenWithAll: true }), millis(s * 1_000))?.length,
    );
    assert.deepEqual(lengths, [1_000, 5_000, 10_000, 10_000]);
    // Computed from times since 1970.
    assert.equal(beatOf(guest('b', { isSeenWithAll: true }), millis(4_999.999))?.length, 5_000);
  });

  it('is none where it has no company', () => {
    const { id, name, capabilities } = guest('alone');
    assert.equal(beatOf({ id, name, capabilities }, millis(5_000)), null);
    assert.equal(beatFrom(millis(1_234.5), null), 1_234.5);
    assert.equal(beatNear(millis(1_234.5), null), 1_234.5);
  });

  it('comes at the first time that is not before, or at the nearest', () => {
    fc.assert(
      fc.property(anyTime, anyBeat, (at, { beat }) => {
        const [from, near] = [beatFrom(millis(at), beat), beatNear(millis(at), beat)];
        assert.ok(isOn(from, beat) && from >= at - ROUNDING_MS && from - at <= beat.length);
        assert.ok(isOn(near, beat) && Math.abs(near - at) <= beat.length / 2 + ROUNDING_MS);
      }),
    );
  });
});

describe('what comes again and again', () => {
  it('keeps its beat, however late the answers are', () => {
    fc.assert(
      fc.property(anyTime, anyBeat, upTo(0.49), (at, { interval, beat }, late) => {
        const due = beatFrom(millis(at), beat);
        const next = nextBeat(due, { now: millis(due + late * interval), interval, beat });
        assert.equal(next, due + interval);
      }),
    );
  });

  it('comes back to it after whatever made it due at another time', () => {
    fc.assert(
      fc.property(anyTime, anyBeat, upTo(1e7), (due, { interval, beat }, late) => {
        assert.ok(isOn(nextBeat(millis(due), { now: millis(due + late), interval, beat }), beat));
      }),
    );
  });

  it('leaves half an interval at least, and one and a half at most', () => {
    fc.assert(
      fc.property(anyTime, anyBeat, upTo(1e7), (due, { interval, beat }, late) => {
        const now = millis(due + late);
        const left = nextBeat(millis(due), { now, interval, beat }) - now;
        const most = 1.5 * interval;
        assert.ok(left >= interval / 2 - ROUNDING_MS && left <= most + 2 * ROUNDING_MS, `${left} of ${interval}`);
      }),
    );
  });
});
