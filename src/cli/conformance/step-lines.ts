/**
 * Replays lines of recorded controller steps through the policy that the daemon runs, so that what is proved is what runs. The
 * controller's memory is kept from step to step of a scenario.
 */
import * as v from 'valibot';
import { knownAt } from '../../control/signal.js';
import { NOTHING_KNOWN, type Reading } from '../../control/reading.js';
import { DEFAULT_TUNABLES, type Tunables } from '../../control/tunables.js';
import { SELFSHRINK_START, selfPolicy, type SelfshrinkMemory } from '../../policies/index.js';
import { millis, NO_PAGES, pages, type Pages } from '../../units.js';
import { compareFields, type LineReplay } from './comparison.js';
import { Scenarios } from './scenarios.js';

const count = v.pipe(v.number(), v.safeInteger());
const stepLine = v.object({
  scenario: count,
  step: count,
  in: v.object({
    totalramPages: count,
    totalreservePages: count,
    maxPfn: count,
    committedPages: count,
    balloonCurrentPages: count,
    frontswapPages: count,
    frontswapEnabled: v.boolean(),
    tunables: v.object({
      selfballooning: count,
      selfballoon_interval: count,
      selfballoon_downhysteresis: count,
      selfballoon_uphysteresis: count,
      selfballoon_min_usable_mb: count,
      selfballoon_reserved_mb: v.optional(count),
      frontswap_selfshrinking: v.optional(count),
      frontswap_hysteresis: v.optional(count),
      frontswap_inertia: v.optional(count),
    }),
  }),
  out: v.object({
    balloonTargetPages: v.nullable(count),
    frontswapShrinkToPages: v.nullable(count),
    inertiaCounter: v.optional(count),
    rescheduleSeconds: v.number(),
  }),
});
type StepLine = v.InferOutput<typeof stepLine>;

const NOW = millis(0);

export const isStepLine = (line: object): boolean => 'step' in line && 'in' in line && 'out' in line;

export function createStepReplay(): LineReplay {
  const scenarios = new Scenarios<SelfshrinkMemory>();
  return (raw) => {
    const line = v.parse(stepLine, raw);
    const place = { scenario: line.scenario, n: line.step };
    if (line.step === 0) scenarios.begin(place, SELFSHRINK_START);
    const decision = selfPolicy.decide(viewOf(line), scenarios.take(place), NOW);
    const { memory } = decision;
    scenarios.keep(line.scenario, memory);
    return compareFields(expectedOf(line), {
      balloonTargetPages: decision.wish.kind === 'resize' ? decision.wish.target : null,
      frontswapShrinkToPages: decision.shrinkOverflowTo,
      ...(line.out.inertiaCounter === undefined ? {} : { inertiaCounter: memory.countdown }),
      rescheduleSeconds: decision.wakeAt === null ? -1 : decision.wakeAt / 1000,
    });
  };
}

/** The old driver wrapped when the reserve was above the highest frame; ours gives no target. */
function expectedOf(line: StepLine): StepLine['out'] {
  return line.in.totalreservePages > line.in.maxPfn ? { ...line.out, balloonTargetPages: null } : line.out;
}

function viewOf({ in: input }: StepLine): Parameters<typeof selfPolicy.decide>[0] {
  const signal = (value: number): ReturnType<typeof knownAt<Pages>> => knownAt(pages(value), NOW);
  const reading: Reading = {
    ...NOTHING_KNOWN,
    at: NOW,
    total: signal(input.totalramPages),
    reserve: signal(input.totalreservePages),
    maxPfn: signal(input.maxPfn),
    // The kernel sums a counter kept per processor, and takes a sum below 0 for 0.
    committed: signal(Math.max(NO_PAGES, input.committedPages)),
    current: signal(input.balloonCurrentPages),
    overflowUsed: signal(input.frontswapPages),
  };
  return { reading, tunables: tunablesOf(input.tunables), hasOverflowTier: input.frontswapEnabled };
}

/** Without frontswap in the kernel its three tunables do not exist, and nothing shrinks. */
function tunablesOf(given: StepLine['in']['tunables']): Tunables {
  const { frontswap_selfshrinking, frontswap_hysteresis, frontswap_inertia, selfballoon_reserved_mb, ...plain } = given;
  return {
    ...plain,
    selfballoon_reserved_mb: selfballoon_reserved_mb ?? 0,
    frontswap_selfshrinking: frontswap_selfshrinking ?? 0,
    frontswap_hysteresis: frontswap_hysteresis ?? DEFAULT_TUNABLES.frontswap_hysteresis,
    frontswap_inertia: frontswap_inertia ?? DEFAULT_TUNABLES.frontswap_inertia,
  };
}
