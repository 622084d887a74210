/**
 * A rule for guests that tell one number only: how much is in use, swapped pages included, the page cache not. It is what Qubes'
 * guests write into their xenstore folder. The rule leaves them what Qubes' own memory manager prefers for them, and moves there
 * with the same damping as self-ballooning. It knows nothing of a guest's promises, and so is coarser.
 *
 * Source: Qubes' qmemman: a preferred size of 1.3 times what is used, at least 200 MiB.
 */
import type { Wish } from '../control/policy.js';
import { dividePages, maxPages, mib, mibToPages, pages, type Pages } from '../units.js';
import { damp } from './selfballoon.js';

const PREFERRED_TENTHS = 13;
const PREFERRED_MIN = mibToPages(mib(200));

/** Divisors of 1 or more, and MiB, 0 or more. */
export interface UsedMemoryTunables {
  readonly selfballoon_downhysteresis: number;
  readonly selfballoon_uphysteresis: number;
  readonly selfballoon_min_usable_mb: number;
}

/** Where a guest that uses `used` should be. */
export const preferredPages = (used: Pages): Pages =>
  maxPages(PREFERRED_MIN, dividePages(pages(used * PREFERRED_TENTHS), 10));

/** Whether a guest that holds `current` and uses `used` has less than what is preferred for its use, also where it is a small one. */
export const isShortFor = (used: Pages, current: Pages): boolean =>
  dividePages(pages(used * PREFERRED_TENTHS), 10) > current;

/** The wish for a guest that holds `current` and uses `used`. */
export function usedMemoryWish(used: Pages, current: Pages, tunables: UsedMemoryTunables): Wish {
  const goal = preferredPages(used);
  const floor = maxPages(PREFERRED_MIN, mibToPages(mib(tunables.selfballoon_min_usable_mb)));
  const { selfballoon_downhysteresis: down, selfballoon_uphysteresis: up } = tunables;
  const target = maxPages(floor, damp(current, goal, down, up));
  const code = current > goal ? 'above-goal' : current < goal ? 'below-goal' : 'at-goal';
  return { kind: 'resize', goal, target, floor, reason: { code, numbers: { current, goal, target, floor, used } } };
}
