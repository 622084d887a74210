/**
 * What is known of one domain from its folder in xenstore, and how a reading is made of it and of what Xen says. What the guest
 * wrote is a hint: it changes what this guest is thought to need, and never what it is thought to hold.
 */
import type { Alarm } from '../../control/alarm.js';
import { NOTHING_KNOWN, type Reading } from '../../control/reading.js';
import { NOT_REPORTED, stamp, unknown, type Field, type Signal } from '../../control/signal.js';
import type { Report } from '../../signals/report.js';
import {
  addPages,
  kibToPagesDown,
  millis,
  minPages,
  pages,
  subtractToZero,
  type Millis,
  type Pages,
} from '../../units.js';
import type { DomainSight } from './sight.js';

export interface Reported {
  readonly at: Millis;
  readonly report: Report;
}

/** A domain as its folder says it is. Replaced as a whole when something changes. */
export interface DomainRecord {
  readonly domid: number;
  readonly name: string;
  /** What it was last told to hold, by whoever told it. */
  readonly asked: Field<Pages>;
  readonly staticMax: Field<Pages>;
  readonly dynamicMin: string | null;
  readonly dynamicMax: string | null;
  /** The one number of Qubes' guests. */
  readonly used: Signal<Pages>;
  /** The last report that was understood; null = none yet. */
  readonly reported: Reported | null;
  /** Why the last report was not understood; null = it was. */
  readonly refusal: string | null;
}

export const emptyRecord = (domid: number): DomainRecord => ({
  domid,
  name: `${domid}`,
  asked: NOT_REPORTED,
  staticMax: NOT_REPORTED,
  dynamicMin: null,
  dynamicMax: null,
  used: NOT_REPORTED,
  reported: null,
  refusal: null,
});

/** A report came. One that was seen already stays as old as it was. */
export function withReport(record: DomainRecord, report: Field<Report>, at: Millis): DomainRecord {
  if (!report.known) return { ...record, refusal: report.detail };
  if (record.reported?.report.beat === report.value.beat) return { ...record, refusal: null };
  return { ...record, reported: { at, report: report.value }, refusal: null };
}

/** The alarm that `after` tells and `before` did not. Alarms from before we came are old. */
export function newAlarm(before: DomainRecord, after: DomainRecord): Alarm | null {
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
const SILENT_AFTER = millis(30_000);

const silence = (at: Millis): Alarm => ({ cause: 'silent', at, availablePages: null, totalPages: null });

/**
 * The alarm of a guest whose last report is from long before `now`; null while it is not. What nobody listened to was no silence:
 * it begins at `listeningFrom` at the earliest.
 */
export const silenceOf = ({ reported }: DomainRecord, now: Millis, listeningFrom: Millis): Alarm | null =>
  reported !== null && now - Math.max(reported.at, listeningFrom) > SILENT_AFTER ? silence(now) : null;

/** One reading: what it holds by Xen's word, what it needs by its own. */
export function readingOf(record: DomainRecord, sight: DomainSight, at: Millis): Reading {
  const held = kibToPagesDown(sight.held);
  const sizes = {
    current: stamp({ known: true, value: held }, at),
    asked: stamp(record.asked, at),
    maximum: stamp(maximumOf(record, sight), at),
    used: usedNow(record.used, at),
  };
  const { reported, refusal } = record;
  const refused = refusal === null ? {} : { refusal };
  if (reported === null) {
    const needed = refusal === null ? NOT_REPORTED : unknown('malformed', refusal);
    return { ...NOTHING_KNOWN, ...sizes, ...refused, at, total: needed, committed: needed };
  }
  const { fields } = reported.report;
  const told = <T>(field: Field<T>): Signal<T> => stamp(field, reported.at);
  const total = totalNow(reported, held);
  return {
    ...NOTHING_KNOWN,
    ...sizes,
    ...refused,
    at,
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

/** Qubes' guests write on change only, and a quiet one for hours not at all; after this its size has long settled anyway. */
const USED_AGE_MAX = millis(600_000);

/** The one number of Qubes' guests is true until it changes. */
function usedNow(used: Signal<Pages>, now: Millis): Signal<Pages> {
  return used.known && now - used.at <= USED_AGE_MAX ? { ...used, at: now } : used;
}

/** Xen's own limit holds whatever stands in the folder, which in some systems the guest may write. */
function maximumOf({ staticMax }: DomainRecord, { maximum }: DomainSight): Field<Pages> {
  if (maximum === null) return staticMax;
  const limit = kibToPagesDown(maximum);
  return { known: true, value: staticMax.known ? minPages(staticMax.value, limit) : limit };
}

/** What was free in a larger guest a moment ago: no more of it is now than the guest has. */
const within = (part: Signal<Pages>, total: Signal<Pages>): Signal<Pages> =>
  part.known && total.known ? { ...part, value: minPages(part.value, total.value) } : part;

/** A kernel keeps some of what its balloon driver counts for itself: its page array and more. Beyond this part it is a lie. */
const HIDDEN_PART_MAX = 4;
const HIDDEN_MAX = pages(64 * 256);

/**
 * The guest's `MemTotal` as of now. The report is older than what Xen says, and the balloon may have moved in between; what does
 * not move is the difference of the two counts, which the report has from one moment.
 */
function totalNow({ at, report: { fields } }: Reported, held: Pages): Signal<Pages> {
  const { total, current } = fields;
  if (!total.known) return stamp(total, at);
  if (!current.known) return stamp(current, at);
  const hidden = current.value - total.value;
  const hiddenMax = addPages(HIDDEN_MAX, pages(Math.floor(current.value / HIDDEN_PART_MAX)));
  if (hidden < 0 || hidden > hiddenMax) {
    const detail = `it reports ${total.value} pages managed of ${current.value} held`;
    return unknown('implausible', detail);
  }
  return stamp({ known: true, value: subtractToZero(held, pages(hidden)) }, at);
}
