/** What the swap stripes did and why they stopped, in words for the log. Numbers in, sentences out. */
import { pagesToKib, type Millis, type Pages } from '../units.js';
import type { ShrinkPlan, Stripe } from './plan.js';

/** A number of pages for a person, with its size in MiB. */
export const sayPages = (count: Pages): string => `${count} pages (${(pagesToKib(count) / 1024).toFixed(1)} MiB)`;

/** A length of time for a person. */
export const saySeconds = (length: Millis): string => `${(length / 1000).toFixed(2)} s`;

/** One stripe was emptied and is on again. */
export const sayEmptied = (stripe: Stripe, took: Millis): string =>
  `emptied ${stripe.device}: ${sayPages(stripe.used)} in ${saySeconds(took)}`;

/** An earlier act is not finished. `emptying` is the stripe being emptied, null when one is being put back. */
export const sayBusy = (emptying: string | null): string =>
  `left alone: still busy with ${emptying ?? 'putting a stripe back'}; this call adds nothing to what is owed`;

/** A stripe that was taken off earlier could not be put back yet. */
export const sayStillOff = (device: string, owed: Pages): string =>
  `left alone: ${device} is not back yet; ${sayPages(owed)} are owed`;

/** Nothing is done, and nothing more is owed, as long as nobody knows what the stripes hold. */
export const sayStripesUnknown = (detail: string): string =>
  `left alone: the swap devices in use are not known (${detail})`;

/** Nothing is done, but what was asked for stays owed. */
export const sayMemoryUnknown = (detail: string, owed: Pages): string =>
  `left alone: the available memory is not known (${detail}); ${sayPages(owed)} are owed`;

/** Nothing is done, but what was asked for stays owed. */
export const sayFloorUnknown = (detail: string, owed: Pages): string =>
  `left alone: what the kernel keeps for itself is not known (${detail}); ${sayPages(owed)} are owed`;

/** Why nothing more is emptied. */
export function sayWhyNot(plan: Exclude<ShrinkPlan, { kind: 'empty' }>): string {
  switch (plan.kind) {
    case 'nothing-to-do':
      return 'no stripe holds a page';
    case 'done':
      return (
        `the stripes hold ${sayPages(plan.used)}, no more than the ${sayPages(plan.to)} asked for` +
        (plan.owed === 0 ? '' : `; ${sayPages(plan.owed)} from earlier are still owed`)
      );
    case 'nothing-owed':
      return `left alone: pages were swapped out meanwhile (${sayPages(plan.used)} now), so nothing is owed any more`;
    case 'would-not-fit':
      return (
        `left alone: ${sayPages(plan.owed)} of ${sayPages(plan.used)} are owed so far, and the stripe with the fewest ` +
        `holds ${sayPages(plan.smallest)}; it is emptied when that many are owed (smaller stripes make finer steps)`
      );
    case 'too-little-memory':
      return (
        `left alone: ${sayPages(plan.owed)} are owed, and emptying a stripe needs ${sayPages(plan.needed)}; ` +
        `of ${sayPages(plan.available)} available ${sayPages(plan.keep)} must stay`
      );
  }
}
