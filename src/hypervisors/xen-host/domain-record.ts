/**
 * What is known of one domain from its folder in xenstore, and how a reading is made of it and of what Xen says. What the guest
 * wrote is a hint: it changes what this guest is thought to need, and never what it is thought to hold.
 */
import { NOTHING_KNOWN, type Reading } from '../../control/reading.js';
import { known, NOT_REPORTED, stamp, unknown, type Field, type Signal } from '../../control/signal.js';
import { NO_REPORTS, signalsOf, type GuestReports, type Reported } from '../../signals/reported-guest.js';
import {
  addPages,
  kibToPagesDown,
  maxPages,
  millis,
  minPages,
  NO_PAGES,
  pages,
  subtractToZero,
  type Millis,
  type Pages,
} from '../../units.js';
import type { DomainSight } from './sight.js';

/** A domain as its folder says it is. Replaced as a whole when something changes. */
export interface DomainRecord extends GuestReports {
  readonly domid: number;
  readonly name: string;
  /** Names the machine over reboots, which make another domain of it; null: nobody says. */
  readonly machine: string | null;
  /** What it was last told to hold, by whoever told it. */
  readonly asked: Field<Pages>;
  readonly staticMax: Field<Pages>;
  /** What Xen counts for its graphics card on top of its target. */
  readonly videoRam: Pages;
  readonly dynamicMin: string | null;
  readonly dynamicMax: string | null;
  /** The one number of Qubes' guests. */
  readonly used: Signal<Pages>;
}

export const emptyRecord = (domid: number): DomainRecord => ({
  domid,
  name: `${domid}`,
  machine: null,
  asked: NOT_REPORTED,
  staticMax: NOT_REPORTED,
  videoRam: NO_PAGES,
  dynamicMin: null,
  dynamicMax: null,
  used: NOT_REPORTED,
  ...NO_REPORTS,
});

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
  const said = signalsOf(record, reported === null ? undefined : totalNow(reported, held));
  return { ...NOTHING_KNOWN, ...said, ...sizes, ...refused, at };
}

/** Qubes' guests write on change only, and a quiet one for hours not at all; after this its size has long settled anyway. */
const USED_AGE_MAX = millis(600_000);

/** The one number of Qubes' guests is true until it changes. */
function usedNow(used: Signal<Pages>, now: Millis): Signal<Pages> {
  return used.known && now - used.at <= USED_AGE_MAX ? { ...used, at: now } : used;
}

/**
 * Xen's own limit, where it is not moved with the target, holds whatever stands in the folder. What it holds already it can hold: a
 * smaller number in the folder is wrong, and still means that it should not grow.
 */
function maximumOf({ staticMax }: DomainRecord, { held, maximum }: DomainSight): Field<Pages> {
  const own = staticMax.known ? known(maxPages(staticMax.value, kibToPagesDown(held))) : staticMax;
  if (maximum === null) return own;
  const limit = kibToPagesDown(maximum);
  return known(own.known ? minPages(own.value, limit) : limit);
}

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
