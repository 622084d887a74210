/**
 * How much room for files a guest is left with, from what was found out: that it read back what it had lost when it had less. The
 * finding holds for a while, and is then tried again in steps so small that a try costs little. Room for files is page cache and
 * free memory together, for the one turns into the other. It does not know how large the guest is.
 */
import {
  addMillis,
  addPages,
  dividePages,
  maxPages,
  millis,
  minPages,
  NO_PAGES,
  pages,
  subtractToZero,
} from '../units.js';
import type { Millis, Pages } from '../units.js';

/** What was found out about one guest. */
export interface CacheNeed {
  /** The room for files that it is left with. */
  readonly keep: Pages;
  /** With this much it had been quiet: from here on down it goes in the smallest steps. */
  readonly sure: Pages;
  /** With this little it was not. Whoever gets below and stays quiet has refuted the finding. */
  readonly limit: Pages;
  /** How long `keep` stays as it is. */
  readonly pause: Millis;
  readonly until: Millis;
}

const PAUSE_FIRST = millis(5 * 60_000);
const PAUSE_MAX = millis(60 * 60_000);

/** Part of its page cache that a guest may lose in one step while nothing was found out: what the first finding costs at most. */
const STEP_PART = 16;
/** As much at least, 4 MiB: in a guest with next to no cache the rest is anonymous memory, of which the law decides. */
const STEP_MIN = pages(1_024);
/** Given back beyond what had been enough, so that it is enough: a sixteenth, or 8 MiB. */
const MARGIN_PART = 16;
const MARGIN_MIN = pages(2_048);
/**
 * A try's step: half a thousandth. Smaller ones bring nothing: one step too many costs what the kernel reclaims at a time, which is a
 * thousandth of the RAM that it booted with (`watermark_scale_factor`).
 */
const TRY_PART = 2_048;
const TRY_MIN = pages(16);
/** Towards what had been enough it goes as self-ballooning goes down by default. */
const APPROACH_PART = 8;
/** How near a guest comes to a size that it is asked for, as a part of what it is to keep. */
const NEAR_PART = 32;
/** So little more than it is to keep is left to it: what is hidden on lists, and not needed, it gives up in a minute all the same. */
const REST_PART = 512;
/** How exact a finding is that was made in small steps. */
const EXACT_PART = 128;

/** The most page cache that may be taken at once from a guest with `cached`, of whose need nothing was found out yet. */
export const stepMax = (cached: Pages): Pages => maxPages(STEP_MIN, dividePages(cached, STEP_PART));

export interface Finding {
  /** The room for files that the guest has now, and that is not enough. */
  readonly has: Pages;
  /** What it read back since the look before: at most that is missing, for who reads in a circle reads back also what it did not miss. */
  readonly missing: Pages;
  readonly now: Millis;
}

/** The guest reads back what it lost: that was one step too far, or more is in use now. */
export function afterRefaults(before: CacheNeed | null, { has, missing, now }: Finding): CacheNeed {
  // What it reads back until it has that follows from what it lost before; but it shows that it is still needed.
  if (before !== null && isAwaited(before, has, now)) return { ...before, until: addMillis(now, before.pause) };
  const sure = before === null ? addPages(has, stepMax(has)) : sureAgain(before.keep, has);
  // The first step too far took no more than a step. If more is in use now the next look tells.
  const lost = before === null ? minPages(missing, stepMax(has)) : missing;
  const margin = addPages(maxPages(MARGIN_MIN, dividePages(has, MARGIN_PART)), lost);
  const pause = pauseAfter(before, now);
  const wasTooLittle = before !== null && now < before.until;
  const keep = maxPages(addPages(sure, margin), wasTooLittle ? before.keep : NO_PAGES);
  const limit = subtractToZero(has, dividePages(has, EXACT_PART));
  return { keep, sure, limit, pause, until: addMillis(now, pause) };
}

/** Whether the guest has not got yet what it was found to need. */
const isAwaited = ({ keep, until }: CacheNeed, has: Pages, now: Millis): boolean =>
  now < until && addPages(has, nearness(keep)) < keep;

/** Small steps came here, so what it had before the last one is known; but it is not more than it can have had. */
function sureAgain(keep: Pages, has: Pages): Pages {
  const had = maxPages(has, minPages(keep, addPages(has, stepMax(has))));
  return addPages(had, maxPages(TRY_MIN, dividePages(had, EXACT_PART)));
}

/** Longer each time a try was one too many. What is found out during a pause makes it last, not grow. */
function pauseAfter(before: CacheNeed | null, now: Millis): Millis {
  if (before === null) return PAUSE_FIRST;
  return now < before.until ? before.pause : millis(Math.min(before.pause * 2, PAUSE_MAX));
}

/** A guest that is to keep so much has it when it is this near. */
export const nearness = (keep: Pages): Pages => dividePages(keep, NEAR_PART);

/**
 * Whether a guest with room `has` stays as it is for now. To go after every page would go on for minutes: a kernel keeps pages that were
 * freed on lists of its processors (`pagesets` in `/proc/zoneinfo`), where by what it says they are neither free nor in use. In a guest of
 * 768 MiB these took up to 42 MiB, and what it was given or had to give up in small steps came from there, with its room as it was.
 */
export const isAtRest = ({ keep, until }: CacheNeed, has: Pages, now: Millis): boolean =>
  now < until && addPages(has, nearness(keep)) >= keep && has <= addPages(keep, dividePages(keep, REST_PART));

/** The guest is quiet with no more than what it is to keep. Null: what was found out does not hold any more. */
export function afterQuiet(need: CacheNeed, now: Millis): CacheNeed | null {
  if (now < need.until) return need;
  const approach = dividePages(subtractToZero(need.keep, need.sure), APPROACH_PART);
  const step = maxPages(approach, maxPages(TRY_MIN, dividePages(need.keep, TRY_PART)));
  const keep = subtractToZero(need.keep, step);
  return keep < need.limit ? null : { ...need, keep };
}
