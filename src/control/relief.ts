/**
 * After an alarm a guest has everything back, and nothing is taken from it again for a while. This decides for how long: longer
 * each time when alarms come soon after one another, for then what is known of the guest's need is not enough.
 */
import { addMillis, millis, type Millis } from '../units.js';

/** A guest's time of rest after it was under pressure. Times are the step's. */
export interface Relief {
  /** Nothing is taken before this. */
  readonly until: Millis;
  /** How long it holds after the last alarm. */
  readonly hold: Millis;
}

/** Three times the kernel's shortest pressure average, so that it has settled when the guest is next asked for memory. */
const HOLD_FIRST = millis(30_000);
const HOLD_MAX = millis(16 * 60_000);
/** An alarm this long after the last relief ended has nothing to do with it. */
const CALM_AFTER = millis(10 * 60_000);

/** An alarm came at `now`. Alarms during a relief make it last, not grow. */
export function beginRelief(before: Relief | null, now: Millis): Relief {
  if (before === null || now - before.until > CALM_AFTER)
    return { until: addMillis(now, HOLD_FIRST), hold: HOLD_FIRST };
  const hold = now < before.until ? before.hold : millis(Math.min(before.hold * 2, HOLD_MAX));
  return { until: addMillis(now, hold), hold };
}

/** Whether nothing may be taken at `now`. */
export const isRelieved = (relief: Relief | null, now: Millis): boolean => relief !== null && now < relief.until;
