/**
 * How fast a guest reads back what was pushed out of its memory: from a counter since boot, at two times, to refaults beyond what
 * is allowed. It does not know what follows from that.
 */
import type { Signal } from '../control/signal.js';
import { dividePages, maxPages, millis, minPages, pages, type Millis, type Pages } from '../units.js';

export interface RefaultMemory {
  /** The counter as last seen, and when it was true; null = not seen since the guest was last let alone. */
  readonly seen: { readonly refaults: number; readonly at: Millis } | null;
  /** Refaults beyond the allowance, in pages; 0 while the guest is quiet. Not a whole number: it drains as time passes. */
  readonly excess: number;
}

export const REFAULTS_START: RefaultMemory = { seen: null, excess: 0 };

/** What can be said now. */
export type RefaultSight =
  /** Nobody counts them, or what was said is no count. */
  | { readonly kind: 'unknown'; readonly detail: string }
  /** There is a count, and none before it that it can be compared with. `isReboot`: it went back. */
  | { readonly kind: 'beginning'; readonly isReboot: boolean }
  /** Nobody has counted since the look before. */
  | { readonly kind: 'nothing-new' }
  | {
      readonly kind: 'counted';
      /** Since the look before. */
      readonly fresh: number;
      readonly perMinute: number;
      /** Nothing beyond the allowance is left. */
      readonly isQuiet: boolean;
      /** More than a burst beyond the allowance: the guest lives from what it does not have. */
      readonly isExcessive: boolean;
    };

/**
 * What passes as noise, each minute: a twentieth of a percent of the cache, a quarter of the 0.2 % that are known to cost a guest
 * nothing that can be felt (Lagar-Cavilla et al., Software-Defined Far Memory, ASPLOS 2019); for a small cache half a read-ahead.
 */
const ALLOWED_PART = 2_000;
const ALLOWED_MIN = pages(16);
/** A tenth of a percent at once, or two read-aheads of the kernel's 128 KiB: one forgotten file is no working set. */
const BURST_PART = 1_000;
const BURST_MIN = pages(64);
const MINUTE = millis(60_000);

/** Compares the counter with what is remembered of it, for a guest with `cached` pages of page cache. */
export function watchRefaults(
  memory: RefaultMemory,
  refaults: Signal<number>,
  cached: Pages,
): { readonly memory: RefaultMemory; readonly sight: RefaultSight } {
  if (!refaults.known) return { memory, sight: unknownSight(`${refaults.reason}, ${refaults.detail}`) };
  if (!Number.isSafeInteger(refaults.value) || refaults.value < 0) {
    return { memory, sight: unknownSight(`implausible, ${refaults.value} is no count`) };
  }
  // What is remembered must come back from JSON as it was, and a guest may say −0.
  const value = Math.abs(refaults.value);
  const { at } = refaults;
  const { seen } = memory;
  const isReboot = seen !== null && value < seen.refaults;
  const begun: RefaultMemory = { seen: { refaults: value, at }, excess: 0 };
  if (seen === null || isReboot) return { memory: begun, sight: { kind: 'beginning', isReboot } };
  // Nothing newer was said: what was found before holds, and nothing new follows from it.
  if (at <= seen.at) return { memory, sight: { kind: 'nothing-new' } };
  const fresh = value - seen.refaults;
  const minutes = (at - seen.at) / MINUTE;
  const excess = Math.max(0, memory.excess + fresh - allowedPerMinute(cached) * minutes);
  const burst = burstOf(cached);
  return {
    memory: { ...begun, excess: Math.min(excess, burst) },
    sight: {
      kind: 'counted',
      fresh,
      perMinute: fresh / minutes,
      isQuiet: excess === 0,
      isExcessive: excess > burst,
    },
  };
}

const unknownSight = (detail: string): RefaultSight => ({ kind: 'unknown', detail });

const allowedPerMinute = (cached: Pages): Pages => maxPages(ALLOWED_MIN, dividePages(cached, ALLOWED_PART));
const burstOf = (cached: Pages): Pages => maxPages(BURST_MIN, dividePages(cached, BURST_PART));

/** What was counted, as pages that may be missing: never more than there is cache, whatever the guest says. */
export const missingBy = (fresh: number, cached: Pages): Pages => minPages(pages(fresh), cached);
