/**
 * A guest's report of itself, as one line of JSON: what the daemon in a guest tells the daemon on its host. It is written by one
 * who may be hostile, so each field is checked by itself, and nothing outside the known fields is looked at. It does not know how
 * a report travels.
 */
import type { AlarmCause } from '../control/alarm.js';
import type { Pressure, Signals } from '../control/reading.js';
import { known, unknown, type Field } from '../control/signal.js';
import { kib, kibToPagesDown, pages, pagesToKib, type Pages } from '../units.js';
import { malformed, quote } from './text.js';

/** Raised when the meaning of a field changes. A report of another version is not understood. */
export const REPORT_VERSION = 1;
/** Longest report that is looked at, in characters. Ours have some 500. */
export const REPORT_LENGTH_MAX = 2_048;

const FILE = 'the report';
export const TOO_LONG = malformed(FILE, `longer than ${REPORT_LENGTH_MAX} characters`);
/** What a reporter that ends in order says last, where there is no report that it could take away. To the letter. */
export const LAST_WORD = `{"v":${REPORT_VERSION},"ends":true}`;
/** Page counts, written in KiB. */
export const REPORTED_SIZES = [
  'current',
  'total',
  'free',
  'available',
  'cached',
  'committed',
  'reserve',
  'swapTotal',
  'swapUsed',
] as const;
const COUNTERS = ['refaults', 'majorFaults', 'oomKills'] as const;

type SizeName = (typeof REPORTED_SIZES)[number];
type CounterName = (typeof COUNTERS)[number];
type CountName = SizeName | CounterName | 'maxPfn';

/** What a report says; what it does not say is unknown. */
export type ReportedFields = Readonly<Record<SizeName | 'maxPfn', Field<Pages>>> &
  Readonly<Record<CounterName, Field<number>>> & { readonly pressure: Field<Pressure> };

export interface Report {
  readonly fields: ReportedFields;
  /** Rises with every report. A report of the same number is the same report. */
  readonly beat: number;
  /** How many alarms there were since the reporter began, and the cause of the last one; null = none, or not understood. */
  readonly alarm: { readonly count: number; readonly cause: AlarmCause } | null;
}

/** What a reporter has to tell. */
export interface Reportable {
  readonly signals: Signals;
  readonly beat: number;
  readonly alarm: Report['alarm'];
}

/** Writes a report. Signals that are not known are left out. */
export function formatReport({ signals, beat, alarm }: Reportable): string {
  const sizes = REPORTED_SIZES.flatMap((name) => {
    const signal = signals[name];
    return signal.known ? [[name, pagesToKib(signal.value)] as const] : [];
  });
  const counts = ([...COUNTERS, 'maxPfn'] as const).flatMap((name) => {
    const signal = signals[name];
    return signal.known ? [[name, signal.value] as const] : [];
  });
  const { pressure } = signals;
  return JSON.stringify({
    v: REPORT_VERSION,
    beat,
    ...(alarm === null ? {} : { alarms: alarm.count, alarm: alarm.cause }),
    ...Object.fromEntries([...sizes, ...counts]),
    ...(pressure.known ? { some: pressure.value.somePercent, full: pressure.value.fullPercent } : {}),
  });
}

/** Reads a report. `malformed` as a whole when it is not one; each field by itself otherwise. Never throws. */
export function parseReport(text: string): Field<Report> {
  if (text.length > REPORT_LENGTH_MAX) return TOO_LONG;
  const found = parseObject(text);
  if (found === null) return malformed(FILE, `${quote(text)} is not an object of JSON`);
  const version = found.get('v');
  if (version !== REPORT_VERSION)
    return malformed(FILE, `its version is ${shown(version)}, and this is ${REPORT_VERSION}`);
  const beat = wholeIn(found, 'beat');
  if (!beat.known) return beat;
  return known({ fields: fieldsIn(found), beat: beat.value, alarm: alarmIn(found) });
}

/** Whether it is the last word of a reporter. */
export const isLastWord = (text: string): boolean => text.trim() === LAST_WORD;

/** Foreign JSON, for a message. Not by `String`: an object can bring a `toString` of its own that is no function. */
const shown = (value: unknown): string => (value === undefined ? quote('nothing') : quote(JSON.stringify(value)));

function parseObject(text: string): ReadonlyMap<string, unknown> | null {
  try {
    const found: unknown = JSON.parse(text);
    const isObject = typeof found === 'object' && found !== null && !Array.isArray(found);
    return isObject ? new Map<string, unknown>(Object.entries(found)) : null;
  } catch {
    return null;
  }
}

function fieldsIn(found: ReadonlyMap<string, unknown>): ReportedFields {
  const size = (name: SizeName): Field<Pages> => {
    const value = wholeIn(found, name);
    return value.known ? known(kibToPagesDown(kib(value.value))) : value;
  };
  const maxPfn = wholeIn(found, 'maxPfn');
  return {
    current: size('current'),
    total: size('total'),
    free: size('free'),
    available: size('available'),
    cached: size('cached'),
    committed: size('committed'),
    reserve: size('reserve'),
    swapTotal: size('swapTotal'),
    swapUsed: size('swapUsed'),
    maxPfn: maxPfn.known ? known(pages(maxPfn.value)) : maxPfn,
    refaults: wholeIn(found, 'refaults'),
    majorFaults: wholeIn(found, 'majorFaults'),
    oomKills: wholeIn(found, 'oomKills'),
    pressure: pressureIn(found),
  };
}

function wholeIn(found: ReadonlyMap<string, unknown>, name: CountName | 'beat' | 'alarms'): Field<number> {
  const value = found.get(name);
  if (value === undefined) return unknown('not-reported', `${FILE} has no ${name}`);
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return known(value);
  return malformed(FILE, `${name} is ${shown(value)}, not a whole number from 0 to 2^53`);
}

function pressureIn(found: ReadonlyMap<string, unknown>): Field<Pressure> {
  const [some, full] = [found.get('some'), found.get('full')];
  if (some === undefined && full === undefined) return unknown('not-reported', `${FILE} has no pressure`);
  if (isPercent(some) && isPercent(full)) return known({ somePercent: some, fullPercent: full });
  return malformed(FILE, 'its pressure is not two numbers from 0 to 100');
}

const isPercent = (value: unknown): value is number => typeof value === 'number' && value >= 0 && value <= 100;

function alarmIn(found: ReadonlyMap<string, unknown>): Report['alarm'] {
  const count = wholeIn(found, 'alarms');
  const cause = found.get('alarm');
  return count.known && (cause === 'stalled' || cause === 'low') ? { count: count.value, cause } : null;
}
