/**
 * How long available memory may go unwatched: as long as it takes, at the fastest rate that is to be believed, to use up what
 * is left above the level from which on it is low. It does not know what happens then.
 */
import { millis, subtractToZero, type Millis, type Pages } from '../units.js';

/** One look at available memory. */
export interface TimedGlance {
  readonly at: Millis;
  readonly available: Pages;
  /** Below this, memory is low. */
  readonly level: Pages;
}

/**
 * 640 MiB/s: one thread that touched fresh pages of 4 KiB filled 530 to 650 MiB/s on a virtual machine with 2 cores of an Intel
 * Xeon, two threads together less. Physical machines are faster (earlyoom reckons with 6000 MiB/s); what outruns this is seen
 * at the first look after it began, or when it made somebody wait, by the pressure trigger.
 */
const FILL_PAGES_PER_MS = 164;
/** A fill that was seen may yet become as much faster: another process joins it, or swapping stops holding it up. */
const FILL_FACTOR = 2;

/**
 * A look with its timer took 0.36 ms of CPU on a virtual machine (0.18 ms of that for any timer at all), so eight a second leave
 * the whole daemon below half a percent of a core. A fill that would use up what is left within the longest pause is
 * worth more looks, for it ends soon one way or the other.
 */
const PAUSE_MIN_AT_REST = 125;
const PAUSE_MIN_IN_FALL = 20;
const PAUSE_MAX = 1000;

/** The longest pause between two looks, also when there is nothing to be seen. */
export const WATCH_PAUSE_MAX = millis(PAUSE_MAX);
/** The shortest pause between two looks while memory is not known to be falling. */
export const WATCH_PAUSE_AT_REST = millis(PAUSE_MIN_AT_REST);

/** How long after `glance` the next look is due, 20 ms to 1 s. `before` is the look before it; null = there was none. */
export function watchPause(glance: TimedGlance, before: TimedGlance | null): Millis {
  const room = subtractToZero(glance.available, glance.level);
  const fall = before === null ? 0 : fallPerMs(before, glance);
  const fill = Math.max(FILL_PAGES_PER_MS, fall * FILL_FACTOR);
  const pauseMin = fall * PAUSE_MAX > room ? PAUSE_MIN_IN_FALL : PAUSE_MIN_AT_REST;
  return millis(Math.min(Math.max(Math.round(room / fill), pauseMin), PAUSE_MAX));
}

/** Pages a millisecond by which the room above the level shrank; 0 when it grew, or when no time passed between the looks. */
function fallPerMs(before: TimedGlance, glance: TimedGlance): number {
  const lost = before.available - before.level - (glance.available - glance.level);
  const length = glance.at - before.at;
  return lost > 0 && length > 0 ? lost / length : 0;
}
