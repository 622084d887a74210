/**
 * What is known of a guest from the reports that it sends of itself, one after another: its signals, an alarm that a new report
 * tells, and its silence. It does not know how a report travels, nor what follows from it.
 */
import type { Alarm } from '../control/alarm.js';
import type { Signals } from '../control/reading.js';
import { stamp, unknown, type Field, type Signal } from '../control/signal.js';
import { millis, minPages, type Millis, type Pages } from '../units.js';
import { parseReport, type Report } from './report.js';

export interface Reported {
  /** When it came, by our clock. */
  readonly at: Millis;
  readonly report: Report;
}

/** Plain data, replaced as a whole by each report. */
export interface GuestReports {
  /** The last report that was understood; null = none yet, or the guest has taken it back. */
  readonly reported: Reported | null;
  /** Why the last report was not understood; null = it was. */
  readonly refusal: string | null;
}

export const NO_REPORTS: GuestReports = { reported: null, refusal: null };

/** A report came, as text from whoever it is. One that was seen already stays as old as it was. Never throws. */
export function withReport<Of extends GuestReports>(before: Of, text: string, at: Millis): Of {
  const report = parseReport(text);
  if (!report.known) return { ...before, refusal: report.detail };
  if (before.reported?.report.beat === report.value.beat) return { ...before, refusal: null };
  return { ...before, reported: { at, report: report.value }, refusal: null };
}

/**
 * The alarm that `after` tells and `before` did not. Alarms from before we came are old. A reporter that ends in order takes its
 * report back: then nobody sees any more whether memory gets tight.
 */
export function newAlarm(before: GuestReports, after: GuestReports): Alarm | null {
  if (before.reported === null) return null;
  if (after.reported === null) return silence(before.reported.at);
  const { alarm, fields, beat } = after.reported.report;
  const { report: last } = before.reported;
  // A reporter that was started again counts from the beginning.
  const toldBefore = beat < last.beat ? 0 : (last.alarm?.count ?? 0);
  if (alarm === null || alarm.count === toldBefore) return null;
  const valueOf = (field: Field<Pages>): Pages | null => (field.known ? field.value : null);
  return {
    cause: alarm.cause,
    at: after.reported.at,
    availablePages: valueOf(fields.available),
    totalPages: valueOf(fields.total),
  };
}

/** Nobody who reports every second is silent for so long, but in a guest that gets no CPU or no memory. */
export const SILENT_AFTER = millis(30_000);

const silence = (at: Millis): Alarm => ({ cause: 'silent', at, availablePages: null, totalPages: null });

/**
 * The alarm of a guest whose last report is from long before `now`; null while it is not. What nobody listened to was no silence:
 * it begins at `listeningFrom` at the earliest.
 */
export const silenceOf = ({ reported }: GuestReports, now: Millis, listeningFrom: Millis): Alarm | null =>
  reported !== null && now - Math.max(reported.at, listeningFrom) > SILENT_AFTER ? silence(now) : null;

/**
 * The guest's signals, each with the time of the report. `current` is not among them: what a guest holds is its hypervisor's word.
 * Empty where there is no report; unknown with the refusal where there is nothing but one that was not understood. `totalNow` is the
 * guest's memory where that is known better than from the report.
 */
export function signalsOf({ reported, refusal }: GuestReports, totalNow?: Signal<Pages>): Partial<Signals> {
  if (reported === null) {
    if (refusal === null) return {};
    const garbled = unknown('malformed', refusal);
    return { total: garbled, committed: garbled };
  }
  const { fields } = reported.report;
  const told = <T>(field: Field<T>): Signal<T> => stamp(field, reported.at);
  const total = totalNow ?? told(fields.total);
  return {
    total,
    free: within(told(fields.free), total),
    available: within(told(fields.available), total),
    cached: told(fields.cached),
    committed: told(fields.committed),
    reserve: told(fields.reserve),
    maxPfn: told(fields.maxPfn),
    swapTotal: told(fields.swapTotal),
    swapUsed: told(fields.swapUsed),
    refaults: told(fields.refaults),
    majorFaults: told(fields.majorFaults),
    oomKills: told(fields.oomKills),
    pressure: told(fields.pressure),
  };
}

/** What was free in a larger guest a moment ago: no more of it is now than the guest has. */
const within = (part: Signal<Pages>, total: Signal<Pages>): Signal<Pages> =>
  part.known && total.known ? { ...part, value: minPages(part.value, total.value) } : part;
