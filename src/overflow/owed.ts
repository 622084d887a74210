/**
 * What the swap stripes still owe: pages that were asked to leave and did not, because stripes are emptied whole or not at
 * all. Plain data and pure steps. It knows neither single stripes nor memory, and it does not decide what to empty.
 *
 * The law that asks starts its patience again whenever the tier grows. So does this: growth forgets what was asked before.
 */
import { addPages, minPages, NO_PAGES, subtractToZero, type Pages } from '../units.js';

export interface Debt {
  /** Pages in all stripes together at the last look; null before the first one. */
  readonly seen: Pages | null;
  /** Pages asked for in sum and not brought home yet. Never more than the stripes held at the last look. */
  readonly owed: Pages;
}

/** Nothing seen, nothing asked for. */
export const NO_DEBT: Debt = { seen: null, owed: NO_PAGES };

/** After a look that found `used` pages: all is forgotten if that is more than before, and never more is owed than is there. */
export function debtAfterLook(debt: Debt, used: Pages): Debt {
  const hasGrown = debt.seen !== null && used > debt.seen;
  return { seen: used, owed: hasGrown ? NO_PAGES : minPages(debt.owed, used) };
}

/** After being asked, with `used` pages found, to shrink to `to`: what is too much is owed on top. 0 asks for everything. */
export function debtAfterAsking(debt: Debt, used: Pages, to: Pages): Debt {
  const { owed } = debtAfterLook(debt, used);
  return { seen: used, owed: minPages(used, addPages(owed, subtractToZero(used, to))) };
}

/** After bringing `home` pages home. That many fewer are expected at the next look, so that growth meanwhile is noticed. */
export function debtAfterHomecoming(debt: Debt, home: Pages): Debt {
  return {
    seen: debt.seen === null ? null : subtractToZero(debt.seen, home),
    owed: subtractToZero(debt.owed, home),
  };
}
