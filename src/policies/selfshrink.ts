/**
 * Specification 1, one step of self-shrinking: when the overflow tier has been quiet for a while, bring a part of its pages
 * home. It remembers the page count of the last look and a countdown, and nothing else.
 */
import { dividePages, NO_PAGES, subtractPages, type Pages } from '../units.js';

/** What the rule remembers from one step to the next. */
export interface SelfshrinkMemory {
  /** Page count at the last look. */
  readonly seenPages: Pages;
  /** Quiet steps still to wait. */
  readonly countdown: number;
}

/** A divisor of 1 or more, and a number of steps, 0 or more. */
export interface SelfshrinkTunables {
  readonly frontswap_hysteresis: number;
  readonly frontswap_inertia: number;
}

/** What the rule says. */
export interface SelfshrinkStep {
  readonly memory: SelfshrinkMemory;
  /** Shrink the tier to this many pages; null = not this time. */
  readonly shrinkTo: Pages | null;
}

/** What it remembers before its first step. */
export const SELFSHRINK_START: SelfshrinkMemory = { seenPages: NO_PAGES, countdown: 0 };

const rest = (seenPages: Pages, countdown: number): SelfshrinkStep => ({
  memory: { seenPages, countdown },
  shrinkTo: null,
});

/** One step, with `frontswapPages` in the tier now. */
export function selfshrinkStep(
  memory: SelfshrinkMemory,
  frontswapPages: Pages,
  tunables: SelfshrinkTunables,
): SelfshrinkStep {
  const last = memory.seenPages;
  if (frontswapPages === 0 || frontswapPages > last) return rest(frontswapPages, tunables.frontswap_inertia);
  const countdown = memory.countdown === 0 ? 0 : memory.countdown - 1;
  if (countdown !== 0) return rest(frontswapPages, countdown);
  return { memory: { seenPages: frontswapPages, countdown }, shrinkTo: shrinkGoal(frontswapPages, tunables) };
}

function shrinkGoal(seen: Pages, tunables: SelfshrinkTunables): Pages {
  if (seen <= tunables.frontswap_hysteresis) return NO_PAGES;
  return subtractPages(seen, dividePages(seen, tunables.frontswap_hysteresis));
}
