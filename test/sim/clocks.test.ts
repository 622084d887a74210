import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { keepPace, VirtualClock } from '../../src/sim/index.js';
import { TimerQueue } from '../../src/sim/timer-queue.js';
import { millis } from '../../src/units.js';
import { useSeed } from '../support/seed.js';

useSeed();

const NEVER = new AbortController().signal;

describe('the virtual clock', () => {
  it('fires timers in the order of their times, then in the order in which they were set', async () => {
    const clock = new VirtualClock();
    const seen: string[] = [];
    const sleep = async (name: string, at: number): Promise<void> => {
      await clock.sleepUntil(millis(at), NEVER);
      seen.push(`${name}@${clock.now()}`);
    };
    const all = [sleep('c', 30), sleep('a', 10), sleep('b', 10), sleep('late', 31)];
    await clock.advanceTo(millis(30));
    assert.deepEqual(seen, ['a@10', 'b@10', 'c@30']);
    assert.equal(clock.now(), 30);
    await clock.advanceTo(millis(31));
    await Promise.all(all);
  });

  it('lets what waited for a timer run, and set more timers, before it goes on', async () => {
    const clock = new VirtualClock();
    const seen: number[] = [];
    const loop = async (): Promise<void> => {
      while (clock.now() < 1_000) {
        await clock.sleepUntil(millis(clock.now() + 100), NEVER);
        for (let step = 0; step < 50; step += 1) await Promise.resolve();
        seen.push(clock.now());
      }
    };
    const running = loop();
    await clock.advanceTo(millis(5_000));
    await running;
    assert.deepEqual(seen, [100, 200, 300, 400, 500, 600, 700, 800, 900, 1_000]);
    assert.equal(clock.now(), 5_000);
  });

  it('has timers that go off once each time they are set, at the last time given', async () => {
    const clock = new VirtualClock();
    const seen: number[] = [];
    const timer = clock.timer(() => {
      seen.push(clock.now());
      if (seen.length === 1) timer.set(millis(5));
    });
    timer.set(millis(10));
    timer.set(millis(20));
    await clock.advanceTo(millis(100));
    assert.deepEqual(seen, [20, 25]);
    timer.set(millis(10));
    timer.clear();
    await clock.advanceTo(millis(200));
    assert.deepEqual(seen, [20, 25]);
    assert.equal(clock.nextTimerAt, null);
  });

  it('refuses to go back, and to be moved twice at once', async () => {
    const clock = new VirtualClock(millis(50));
    await assert.rejects(clock.advanceTo(millis(49)), RangeError);
    const moving = clock.advanceTo(millis(60));
    await assert.rejects(clock.advanceTo(millis(70)), RangeError);
    await moving;
    await clock.advanceTo(millis(70));
    assert.equal(clock.now(), 70);
  });

  it('wakes a sleeper that is aborted, and forgets its timer', async () => {
    const clock = new VirtualClock();
    const controller = new AbortController();
    const sleeping = clock.sleepUntil(millis(1_000), controller.signal);
    assert.equal(clock.nextTimerAt, 1_000);
    controller.abort();
    await sleeping;
    assert.equal(clock.nextTimerAt, null);
    await clock.sleepUntil(millis(1_000), controller.signal);
    await clock.sleepUntil(millis(0), NEVER);
  });

  it('gives a time limit that all calls of a round may share, without a warning of a leak', async () => {
    const warnings: string[] = [];
    const onWarning = ({ name }: Error): void => void warnings.push(name);
    process.on('warning', onWarning);
    const limit = new VirtualClock().timeLimit(millis(5_000));
    for (let call = 0; call < 200; call += 1) limit.addEventListener('abort', () => call, { once: true });
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', onWarning);
    assert.deepEqual(warnings, []);
  });

  it('ends time limits in virtual time, and shares those that end together', async () => {
    const clock = new VirtualClock();
    const limit = clock.timeLimit(millis(5_000));
    assert.equal(clock.timeLimit(millis(5_000)), limit);
    await clock.advanceTo(millis(4_999));
    assert.equal(limit.aborted, false);
    const later = clock.timeLimit(millis(5_000));
    assert.notEqual(later, limit);
    await clock.advanceTo(millis(5_000));
    assert.equal(limit.aborted, true);
    assert.equal(later.aborted, false);
    assert.equal(clock.timeLimit(millis(0)).aborted, true);
  });
});

describe('the timer queue', () => {
  it('gives timers back in order, whatever is added and cancelled', () => {
    const entry = fc.record({ at: fc.nat(50), isCancelled: fc.boolean() });
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 300 }), (entries) => {
        const queue = new TimerQueue();
        const fired: number[] = [];
        const timers = entries.map(({ at }, index) => queue.add(millis(at), () => fired.push(index)));
        for (const [index, { isCancelled }] of entries.entries()) {
          const timer = timers[index];
          if (isCancelled && timer !== undefined) queue.cancel(timer);
        }
        while (queue.fireNext());
        const expected = [...entries.entries()]
          .filter(([, { isCancelled }]) => !isCancelled)
          .sort(([a, first], [b, second]) => first.at - second.at || a - b)
          .map(([index]) => index);
        assert.deepEqual(fired, expected);
      }),
    );
  });
});

describe('pacing', () => {
  /** Lets `keepPace` go for some turns, with real time as the test says. */
  async function paced(speed: number, realSteps: readonly number[]): Promise<number> {
    const clock = new VirtualClock(millis(1_000));
    const ending = new AbortController();
    const steps = [...realSteps];
    let real = 0;
    const realNow = (): number => {
      real += steps.shift() ?? 0;
      if (steps.length === 0) ending.abort();
      return real;
    };
    await keepPace(clock, { speed, realNow }, ending.signal);
    return clock.now() - 1_000;
  }

  it('moves simulated time as many times as fast as it was told', async () => {
    assert.equal(await paced(60, [0, 50, 50]), 6_000);
    assert.equal(await paced(0.5, [0, 50, 50]), 50);
  });

  it('leaves out the time of a suspend, and does not go back with a clock that does', async () => {
    assert.equal(await paced(10, [0, 50, 3_600_000]), 500 + 2_500);
    assert.equal(await paced(10, [0, 50, -1_000]), 500);
  });
});
