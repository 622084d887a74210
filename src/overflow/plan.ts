/**
 * Which swap stripe to empty next, so that the tier shrinks towards a size. It decides from numbers alone: it knows nothing
 * of files, system calls or time, and it never asks for two stripes at once, because what is true changes with each.
 *
 * A stripe is emptied as a whole or not at all (`swapoff` knows no half), and one call rarely asks for as much as a stripe
 * holds. So a stripe fits if its pages are no more than what is owed: asked for in sum, over all calls, and not brought home
 * yet (`owed.ts`). Stripes are the steps in which pages come home; many small ones make fine steps, few large ones wait
 * longer for each. The tier may fall below `to` by the stripe that takes it there; at `to` or below no further one is begun.
 */
import { addPages, NO_PAGES, subtractPages, subtractToZero, type Pages } from '../units.js';

/** One swap device that is switched on. */
export interface Stripe {
  /** Its path, as the kernel shows it. */
  readonly device: string;
  readonly size: Pages;
  readonly used: Pages;
  /** The kernel fills the highest first. Below 0: the kernel has numbered it itself. */
  readonly priority: number;
}

export interface ShrinkQuestion {
  readonly stripes: readonly Stripe[];
  /** Shrink the tier to this many pages. */
  readonly to: Pages;
  /** Pages asked for in sum and not brought home yet, with what this call asks for. */
  readonly owed: Pages;
  /** Memory that can be had without swapping: `MemAvailable`. */
  readonly available: Pages;
  /** Memory that must stay available while a stripe is emptied: floor and reserve together. */
  readonly keep: Pages;
}

/**
 * What to do next.
 * - `empty`: empty this stripe; `usedAfter` and `availableAfter` are the least favourable numbers to expect
 * - `nothing-to-do`: no stripe holds a page
 * - `done`: the tier holds no more than was asked for
 * - `nothing-owed`: the tier holds more than was asked for, and grew since it was asked, which took the asking back
 * - `would-not-fit`: `owed` pages should leave, and even the stripe with the fewest holds `smallest`, which is more
 * - `too-little-memory`: a stripe of `needed` pages would fit, but `available` less that would be below `keep`
 */
export type ShrinkPlan =
  | { readonly kind: 'empty'; readonly stripe: Stripe; readonly usedAfter: Pages; readonly availableAfter: Pages }
  | { readonly kind: 'nothing-to-do' }
  | { readonly kind: 'done'; readonly used: Pages; readonly to: Pages; readonly owed: Pages }
  | { readonly kind: 'nothing-owed'; readonly used: Pages }
  | { readonly kind: 'would-not-fit'; readonly used: Pages; readonly owed: Pages; readonly smallest: Pages }
  | {
      readonly kind: 'too-little-memory';
      readonly owed: Pages;
      readonly needed: Pages;
      readonly available: Pages;
      readonly keep: Pages;
    };

/** Pages that all `stripes` hold together. */
export const usedBy = (stripes: readonly Stripe[]): Pages =>
  stripes.reduce<Pages>((sum, stripe) => addPages(sum, stripe.used), NO_PAGES);

/** Pages that all `stripes` could hold together. */
export const sizeOf = (stripes: readonly Stripe[]): Pages =>
  stripes.reduce<Pages>((sum, stripe) => addPages(sum, stripe.size), NO_PAGES);

/** Lowest priority first, for it was filled last; among equals the one that needs the least memory. */
const byPriority = (a: Stripe, b: Stripe): number => a.priority - b.priority || a.used - b.used;

/**
 * The stripe to empty next, or why none: of the stripes that fit what is owed and the memory, the one with the lowest
 * priority. Emptying a stripe is taken to need as much memory as it holds pages; with zram it needs less, since the
 * compressed copies are freed, so this errs on the safe side.
 */
export function planShrink(question: ShrinkQuestion): ShrinkPlan {
  const { stripes, to, owed, available, keep } = question;
  const used = usedBy(stripes);
  if (used === 0) return { kind: 'nothing-to-do' };
  if (used <= to) return { kind: 'done', used, to, owed };
  if (owed === 0) return { kind: 'nothing-owed', used };

  const holding = stripes.filter((stripe) => stripe.used > 0);
  const fitting = holding.filter((stripe) => stripe.used <= owed);
  if (fitting.length === 0) return { kind: 'would-not-fit', used, owed, smallest: fewestUsed(holding) };

  const spare = subtractToZero(available, keep);
  const stripe = fitting.filter((candidate) => candidate.used <= spare).toSorted(byPriority)[0];
  if (stripe === undefined) return { kind: 'too-little-memory', owed, needed: fewestUsed(fitting), available, keep };
  return {
    kind: 'empty',
    stripe,
    usedAfter: subtractPages(used, stripe.used),
    availableAfter: subtractPages(available, stripe.used),
  };
}

/** The smallest `used` among stripes of which there is at least one. */
function fewestUsed(stripes: readonly Stripe[]): Pages {
  return stripes.map((stripe) => stripe.used).reduce((least, used) => (used < least ? used : least));
}
