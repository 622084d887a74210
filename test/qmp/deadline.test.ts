/** Protects the time limits of many commands: each ends in its own time, and one timer is enough for all of them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TimeLimits } from '../../src/qmp/deadline.js';
import { VirtualClock } from '../../src/sim/index.js';
import { millis, type Millis } from '../../src/units.js';

function limitsOf(clock: VirtualClock) {
  const limits = new TimeLimits(clock);
  const ended: string[] = [];
  const start = (name: string, limit: number): (() => void) =>
    limits.start(millis(limit), () => {
      ended.push(`${name} at ${clock.now()}`);
    });
  return { limits, ended, start };
}

/** All times at which anything is due, without moving past the last. */
async function timersOf(clock: VirtualClock): Promise<readonly Millis[]> {
  const times: Millis[] = [];
  for (let at = clock.nextTimerAt; at !== null; at = clock.nextTimerAt) {
    times.push(at);
    await clock.advanceTo(at);
  }
  return times;
}

describe('the time limits of many waits', () => {
  it('end each at its own time, a shorter one that began later before a longer one', async () => {
    const clock = new VirtualClock();
    const { ended, start } = limitsOf(clock);
    start('long', 5_000);
    await clock.advanceTo(millis(1_000));
    start('short', 100);
    start('none', 0);
    await clock.advanceTo(millis(10_000));
    assert.deepEqual(ended, ['none at 1000', 'short at 1100', 'long at 5000']);
  });

  it('say nothing of what has ended before', async () => {
    const clock = new VirtualClock();
    const { ended, start } = limitsOf(clock);
    const stop = start('one', 100);
    start('two', 100);
    stop();
    stop();
    await clock.advanceTo(millis(1_000));
    assert.deepEqual(ended, ['two at 100']);
  });

  it('set one timer for a thousand waits that end in time, and none once nothing waits', async () => {
    const clock = new VirtualClock();
    const { ended, start } = limitsOf(clock);
    for (let at = 0; at < 1_000; at += 1) {
      await clock.advanceTo(millis(at));
      start('one', 5_000)();
    }
    assert.deepEqual(await timersOf(clock), [5_000]);
    assert.deepEqual(ended, []);
  });

  it('go on for waits that begin when others end, and when nothing was waited for', async () => {
    const clock = new VirtualClock();
    const { limits, ended, start } = limitsOf(clock);
    limits.start(millis(100), () => {
      start('next', 100);
    });
    await clock.advanceTo(millis(1_000));
    start('last', 100);
    await clock.advanceTo(millis(2_000));
    assert.deepEqual(ended, ['next at 200', 'last at 1100']);
  });

  it('are over without a word when they are closed, and hold no timer', async () => {
    const clock = new VirtualClock();
    const { limits, ended, start } = limitsOf(clock);
    start('one', 100);
    limits.close();
    assert.equal(clock.nextTimerAt, null);
    await clock.advanceTo(millis(1_000));
    assert.deepEqual(ended, []);
  });
});
