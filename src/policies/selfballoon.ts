/**
 * Specification 1, one step of self-ballooning: from what the guest's kernel says to the size its balloon driver should aim
 * for. Exact: every division truncates, nothing is rounded twice. It does not know when it is called, nor whether its answer
 * is obeyed.
 */
import { addPages, dividePages, maxPages, mib, mibToPages, subtractPages, type Pages } from '../units.js';

/** What the rule goes by: pages of 4 KiB, each 0 or more. */
export interface SelfballoonInputs {
  /** RAM that the guest's kernel manages now. */
  readonly totalramPages: Pages;
  /** RAM that the kernel keeps for itself. Above `maxPfn` it is an error of the input. */
  readonly totalreservePages: Pages;
  /** Highest page frame number that the guest could have. */
  readonly maxPfn: Pages;
  /** Memory promised to processes. */
  readonly committedPages: Pages;
  /** What the balloon driver says the guest holds: at least `totalramPages` on a sound guest. */
  readonly balloonCurrentPages: Pages;
  /** Pages to make room for, because they are to be brought home; 0 where self-shrinking is off. */
  readonly frontswapPages: Pages;
  /** Room above what is committed: `selfballoon_reserved_mb`, in pages. The old driver had none (0). */
  readonly reservedPages: Pages;
}

/** Divisors of 1 or more, and MiB; 0 MiB stands for the floor by the guest's size. */
export interface SelfballoonTunables {
  readonly selfballoon_downhysteresis: number;
  readonly selfballoon_uphysteresis: number;
  readonly selfballoon_min_usable_mb: number;
}

/** What the rule says, in pages. */
export type SelfballoonStep =
  | {
      readonly kind: 'target';
      /** Where it would like the kernel's RAM to be. */
      readonly goal: Pages;
      /** Where the kernel's RAM should go this time: damped, never below `floor`. */
      readonly target: Pages;
      readonly floor: Pages;
      /** The same as `target`, in the balloon driver's count. This is what is handed over. */
      readonly balloonTarget: Pages;
    }
  | { readonly kind: 'impossible'; readonly why: string };

/** The old driver's piecewise line, least useful size first. The last piece ends near 3 % of the guest. */
const FLOOR_LINE = [
  { below: mibToPages(mib(64)), base: mibToPages(mib(16)), slope: 2 },
  { below: mibToPages(mib(512)), base: mibToPages(mib(40)), slope: 8 },
  { below: Infinity, base: mibToPages(mib(99)), slope: 32 },
] as const;
const TOO_SMALL_TO_BALLOON = mibToPages(mib(16));

/** The least RAM that self-ballooning leaves to a guest. `reserve` must not be above `maxPfn`. */
export function floorPages(maxPfn: Pages, reserve: Pages, minUsableMb: number): Pages {
  if (minUsableMb !== 0) return addPages(reserve, mibToPages(mib(minUsableMb)));
  const useful = subtractPages(maxPfn, reserve);
  if (useful < TOO_SMALL_TO_BALLOON) return maxPfn;
  for (const piece of FLOOR_LINE) {
    if (useful < piece.below) {
      return addPages(addPages(reserve, piece.base), dividePages(subtractPages(useful, piece.base), piece.slope));
    }
  }
  return maxPfn;
}

/** Moves `current` towards `goal` by a part of the distance: slowly down, quickly up. A divisor of 1 goes all the way. */
export function damp(current: Pages, goal: Pages, downHysteresis: number, upHysteresis: number): Pages {
  if (current > goal) return subtractPages(current, dividePages(subtractPages(current, goal), downHysteresis));
  if (current < goal) return addPages(current, dividePages(subtractPages(goal, current), upHysteresis));
  return current;
}

/** One step. `impossible` when the inputs contradict each other; then there is no target. */
export function selfballoonStep(inputs: SelfballoonInputs, tunables: SelfballoonTunables): SelfballoonStep {
  const { totalramPages, totalreservePages, maxPfn, balloonCurrentPages } = inputs;
  if (totalreservePages > maxPfn) {
    return {
      kind: 'impossible',
      why: `the kernel's reserve (${totalreservePages} pages) is above its highest frame (${maxPfn})`,
    };
  }
  const committed = addPages(inputs.committedPages, totalreservePages);
  const goal = addPages(addPages(committed, inputs.frontswapPages), inputs.reservedPages);
  const damped = damp(totalramPages, goal, tunables.selfballoon_downhysteresis, tunables.selfballoon_uphysteresis);
  const floor = floorPages(maxPfn, totalreservePages, tunables.selfballoon_min_usable_mb);
  const target = maxPages(damped, floor);
  const counted = addPages(target, balloonCurrentPages);
  if (counted < totalramPages) {
    return {
      kind: 'impossible',
      why: `the balloon driver counts ${balloonCurrentPages} pages, too few for the ${totalramPages} that the kernel manages`,
    };
  }
  return { kind: 'target', goal, target, floor, balloonTarget: subtractPages(counted, totalramPages) };
}
