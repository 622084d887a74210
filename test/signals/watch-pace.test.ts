/** Protects the pace of the watch: seldom while there is room, often while it goes, and never so often that it is a burden. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { watchPause, type TimedGlance } from '../../src/signals/watch-pace.js';
import { mib, mibToPages, millis, pages, type Millis } from '../../src/units.js';
import { useSeed } from '../support/seed.js';

useSeed();

const LEVEL = 8;
/** A look at `at` that found `room` MiB above the level. */
const glance = (at: number, room: number): TimedGlance => ({
  at: millis(at),
  available: mibToPages(mib(LEVEL + room)),
  level: mibToPages(mib(LEVEL)),
});

describe('the pause between two looks at available memory', () => {
  it('at rest is as long as the room lasts at 640 MiB/s, from 125 ms to 1 s', () => {
    const pauseFor = (room: number): number => watchPause(glance(0, room), null);
    assert.deepEqual([0, 1, 64, 128, 320, 640, 100_000].map(pauseFor), [125, 125, 125, 200, 500, 999, 1000]);
  });

  it('shrinks to 20 ms while memory falls so that it would not last a second', () => {
    const pauses = [
      // From 100 to 64 MiB in 100 ms: 360 MiB/s, so 720 are to be feared.
      watchPause(glance(100, 64), glance(0, 100)),
      // The same, with little left.
      watchPause(glance(100, 8), glance(0, 44)),
      // Slow enough to last more than a second.
      watchPause(glance(100, 64), glance(0, 70)),
      // Twice as fast as anything seen before.
      watchPause(glance(100, 64), glance(0, 192)),
    ];
    assert.deepEqual(pauses, [89, 20, 125, 25]);
  });

  it('is not shortened by memory that comes back, nor by two looks at one instant', () => {
    assert.equal(watchPause(glance(100, 256), glance(0, 100)), 400);
    assert.equal(watchPause(glance(100, 256), glance(100, 600)), 400);
    assert.equal(watchPause(glance(100, 256), glance(200, 600)), 400);
  });

  it('counts the room and not the memory, so that a balloon that takes both is no fall', () => {
    const before: TimedGlance = { at: millis(0), available: pages(20_000), level: pages(6_000) };
    const after: TimedGlance = { at: millis(100), available: pages(18_000), level: pages(4_000) };
    assert.equal(watchPause(after, before), watchPause(after, null));
  });

  it('is from 20 ms to 1 s, whatever was seen, and not longer with less room', () => {
    const count = fc.integer({ min: 0, max: 2 ** 33 }).map(pages);
    const any = fc.record({
      at: fc.double({ min: 0, max: 2 ** 45, noNaN: true }).map(millis),
      available: count,
      level: count,
    });
    fc.assert(
      fc.property(any, fc.option(any), fc.nat(2 ** 20), (now, before, less) => {
        const pause = watchPause(now, before);
        assert.ok(pause >= 20 && pause <= 1000);
        const poorer = { ...now, available: pages(Math.max(0, now.available - less)) };
        assert.ok(watchPause(poorer, before) <= pause);
      }),
    );
  });
});

/** How much is left, in MiB above or below the level, at the look that first finds a steady fill to have passed it. */
function leftAtAlarm(
  fillMibPerS: number,
  room: number,
  pauseOf: (now: TimedGlance, before: TimedGlance | null) => Millis,
): number {
  let before: TimedGlance | null = null;
  for (let at = 0; ;) {
    const left = room - (fillMibPerS * at) / 1000;
    if (left < 0) return left;
    const available = pages(Math.max(0, Math.round((LEVEL + left) * 256)));
    const now: TimedGlance = { at: millis(at), available, level: mibToPages(mib(LEVEL)) };
    at += pauseOf(now, before);
    before = now;
  }
}

describe('a fill that begins at rest', () => {
  it('is seen at the latest 125 ms after it passed the level, up to the rate that is reckoned with', () => {
    fc.assert(
      fc.property(fc.integer({ min: 10, max: 640 }), fc.integer({ min: 1, max: 4000 }), (fill, room) => {
        assert.ok(leftAtAlarm(fill, room, watchPause) >= -fill / 8 - 1);
      }),
    );
  });

  it('that takes 300 MiB in a second is seen before 10 MiB are missing; with a look a second it is not', () => {
    assert.ok(leftAtAlarm(300, 40, watchPause) > -10);
    assert.ok(leftAtAlarm(300, 40, () => millis(1000)) < -200);
  });
});
