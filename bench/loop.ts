/** How many guests the loop serves in a second: the real loop and step over the embedded host on virtual time. */
import { createStep, initialState } from '../src/control/step.js';
import { DEFAULT_TUNABLES } from '../src/control/tunables.js';
import { createEmbeddedHypervisor } from '../src/hypervisors/embedded/embedded.js';
import { selfPolicy, type SelfshrinkMemory } from '../src/policies/index.js';
import { Loop } from '../src/runtime/loop.js';
import { manyGuests, VirtualClock } from '../src/sim/index.js';
import { millis } from '../src/units.js';
import { median, type BenchRow } from './row.js';

const GUESTS = 1_000;
const WARM_ROUNDS = 60;
const ROUNDS = 100;
const REPEATS = 5;
const INTERVAL_MS = 5_000;

export async function benchLoop(): Promise<readonly BenchRow[]> {
  const clock = new VirtualClock();
  const host = manyGuests({ seed: 1, count: GUESTS });
  let decisions = 0;
  const loop = new Loop<SelfshrinkMemory>({
    step: createStep(selfPolicy),
    policyName: selfPolicy.name,
    state: initialState({ tunables: DEFAULT_TUNABLES, isDryRun: false, hasFrontswap: true, limits: {} }),
    clock,
    hypervisors: [createEmbeddedHypervisor({ host, clock })],
    journal: null,
    tell: () => undefined,
    afterStep: (result) => (decisions += result.decisions.length),
  });
  const ending = new AbortController();
  const running = loop.run(ending.signal);
  await clock.advanceTo(millis(WARM_ROUNDS * INTERVAL_MS));
  const rates: number[] = [];
  for (let repeat = 0; repeat < REPEATS; repeat += 1) {
    const [before, from] = [decisions, performance.now()];
    await clock.advanceTo(millis(clock.now() + ROUNDS * INTERVAL_MS));
    rates.push((decisions - before) / ((performance.now() - from) / 1000));
  }
  ending.abort();
  await running;
  return [
    {
      name: `guest-rounds of the embedded host, ${GUESTS} guests`,
      unit: '/s',
      value: median(rates),
      goal: 200_000,
      isRate: true,
    },
  ];
}
