/**
 * With which priority a stripe is switched on when nobody remembers the one it had: after a crash between `swapoff` and
 * `swapon`, or at the first start. Stripes are filled in the order in which they are configured, so a stripe goes between
 * those of its neighbours that are on. It knows nothing of files and system calls.
 */

/** Highest priority that swapon(2) takes (15 bits, `SWAP_FLAG_PRIO_MASK`). */
export const PRIORITY_MAX = 32_767;

/** Stands for "let the kernel number it": it then comes below every swap device that is on already. */
export const PRIORITY_BY_KERNEL = -1;

/** What the last stripe gets where none is on yet. 100 is what zram swap is customarily given, above any disk's. */
const PRIORITY_LAST = 100;

/**
 * The priority for the stripe at `index` of the configured order. `active` has, for each configured stripe, its priority,
 * or null where it is off. Between neighbours without room it gets the same priority as the one before or after it.
 */
export function priorityFor(index: number, active: readonly (number | null)[]): number {
  const before = active.slice(0, index).findLastIndex((priority) => priority !== null);
  const after = active.findIndex((priority, at) => at > index && priority !== null);
  const wanted = aboveNext(index, after, active[after] ?? null) ?? PRIORITY_LAST + active.length - 1 - index;
  const previous = active[before] ?? null;
  if (previous === null) return Math.min(wanted, PRIORITY_MAX);
  const belowPrevious = previous - (index - before);
  const least = active[after] ?? PRIORITY_BY_KERNEL;
  return Math.max(belowPrevious, least, PRIORITY_BY_KERNEL);
}

function aboveNext(index: number, after: number, next: number | null): number | null {
  return next === null ? null : Math.max(next, PRIORITY_BY_KERNEL) + (after - index);
}
