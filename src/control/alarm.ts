/**
 * Word of a guest, between two looks, that memory is getting tight in it, or may be. It decides from which amount on that is so; how
 * it is found out, and what follows from it, is decided elsewhere.
 */
import { dividePages, type Millis, type Pages } from '../units.js';

/**
 * - `stalled`: tasks waited for memory, as the kernel's pressure trigger says
 * - `low`: little memory is available, and nobody has had to wait for it yet
 * - `silent`: whoever reported from inside the guest does not any more: nobody would see either of these
 * - `restarted`: the guest begins anew, in the memory that it was left; nobody in it says yet what it needs
 */
export type AlarmCause = 'stalled' | 'low' | 'silent' | 'restarted';

/** What was seen in the guest when it was raised. */
export interface Alarm {
  readonly cause: AlarmCause;
  /** When it was seen. */
  readonly at: Millis;
  /** `MemAvailable` then; null = not known. */
  readonly availablePages: Pages | null;
  /** `MemTotal` then; null = not known. */
  readonly totalPages: Pages | null;
}

/** Of a guest whose machine was reset. */
export const beginsAnew = (at: Millis): Alarm => ({
  cause: 'restarted',
  at,
  availablePages: null,
  totalPages: null,
});

/**
 * Half of the room that self-ballooning leaves above what is committed (10 % of the guest's RAM): below it a demand is under way
 * that the last decision did not know of.
 */
const LOW_PART = 20;

/** Memory is low when less than this is available to a guest whose kernel manages `total`. */
export const lowLevel = (total: Pages): Pages => dividePages(total, LOW_PART);
