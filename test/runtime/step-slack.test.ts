/** Protects when the loop takes its steps: at their time, or a little later where it may wait for more; and at once for an event. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { initialState, type Step } from '../../src/control/step.js';
import { DEFAULT_TUNABLES } from '../../src/control/tunables.js';
import { Loop } from '../../src/runtime/loop.js';
import { VirtualClock } from '../../src/sim/index.js';
import { millis } from '../../src/units.js';

const EVERY_MS = 100;

/** When the loop takes its steps until 250 ms, each of which wants the next in 100 ms. Something is asked of it at `askAt`. */
async function stepsOf(parts: { readonly stepSlack?: number; readonly askAt: number }): Promise<readonly number[]> {
  const clock = new VirtualClock();
  const steps: number[] = [];
  const step: Step<null> = (state, _, now) => {
    steps.push(now);
    return { state, actions: [], decisions: [], wakeAt: millis(now + EVERY_MS) };
  };
  const settings = { tunables: DEFAULT_TUNABLES, isDryRun: false, hasFrontswap: false, limits: {} };
  const loop = new Loop<null>({
    step,
    policyName: 'none',
    state: initialState(settings),
    clock,
    hypervisors: [],
    journal: null,
    tell: () => undefined,
    ...(parts.stepSlack === undefined ? {} : { stepSlack: millis(parts.stepSlack) }),
  });
  const ending = new AbortController();
  const running = loop.run(ending.signal);
  await clock.advanceTo(millis(parts.askAt));
  void loop.release();
  await clock.advanceTo(millis(250));
  ending.abort();
  await running;
  return steps;
}

describe('a step that only time makes due', () => {
  it('is taken when it is due', async () => {
    assert.deepEqual(await stepsOf({ askAt: 120 }), [0, 100, 120, 220]);
  });

  it('waits for others by the slack that it is given, and an event does not', async () => {
    assert.deepEqual(await stepsOf({ stepSlack: 5, askAt: 120 }), [0, 105, 120, 225]);
    assert.deepEqual(await stepsOf({ stepSlack: 5, askAt: 102 }), [0, 102, 207]);
  });
});
