/**
 * `/proc/pressure/memory` (PSI): the share of time in which tasks waited for memory. Either the whole file is believed or
 * nothing of it, because `some` without `full` cannot come from a kernel.
 *
 * Source: the kernel's Documentation/accounting/psi.rst.
 */
import type { Pressure } from '../control/reading.js';
import { known, unknown, type Field } from '../control/signal.js';
import { forEachLine, malformed, missing, parseWhole, quote, refuseText } from './text.js';

/** One line. The averages are percent of time, 0 to 100, over the last 10, 60 and 300 seconds. */
export interface PressureLine {
  readonly avg10Percent: number;
  readonly avg60Percent: number;
  readonly avg300Percent: number;
  /** Microseconds waited since boot. */
  readonly totalMicros: number;
}

/** How long tasks waited for memory (PSI), by how many of them did. */
export interface MemoryPressure {
  /** At least one task waited. */
  readonly some: PressureLine;
  /** All tasks that were not idle waited. */
  readonly full: PressureLine;
}

const FILE = '/proc/pressure/memory';
const LINE = /^(some|full) avg10=(\d+\.\d\d) avg60=(\d+\.\d\d) avg300=(\d+\.\d\d) total=(\d+)$/;
/** A real line has some 60 characters; longer ones are not worth a search. */
const LINE_LENGTH_MAX = 200;

/** Parses the text of `/proc/pressure/memory`. An average above 100 % is `implausible`. Never throws. */
export function parsePressure(text: string): Field<MemoryPressure> {
  const refusal = refuseText(FILE, text);
  if (refusal !== null) return refusal;
  const lines = new Map<string, Field<PressureLine>>();
  forEachLine(text, (start, end, isWhole) => {
    const kind = text.slice(start, start + 4);
    if (kind !== 'some' && kind !== 'full') return;
    if (lines.has(kind)) lines.set(kind, malformed(FILE, `the line ${kind} is there twice`));
    else lines.set(kind, isWhole ? parseLine(text, start, end) : malformed(FILE, `cut short in ${kind}`));
  });
  const some = lines.get('some') ?? missing(FILE, text, 'line some');
  const full = lines.get('full') ?? missing(FILE, text, 'line full');
  if (!some.known) return some;
  return full.known ? known({ some: some.value, full: full.value }) : full;
}

/** What the core looks at: the 10 s averages. */
export function toPressure(pressure: MemoryPressure): Pressure {
  return { somePercent: pressure.some.avg10Percent, fullPercent: pressure.full.avg10Percent };
}

function parseLine(text: string, start: number, end: number): Field<PressureLine> {
  const line = text.slice(start, Math.min(end, start + LINE_LENGTH_MAX));
  const match = end - start <= LINE_LENGTH_MAX ? LINE.exec(line) : null;
  const totalMicros = parseWhole(match?.[5] ?? '');
  if (match === null || totalMicros === null) return malformed(FILE, `${quote(line)} is not a pressure line`);
  const avg10Percent = Number(match[2]);
  const avg60Percent = Number(match[3]);
  const avg300Percent = Number(match[4]);
  if (Math.max(avg10Percent, avg60Percent, avg300Percent) > 100) {
    return unknown('implausible', `${FILE}: ${quote(line)} has more than 100 % of the time`);
  }
  return known({ avg10Percent, avg60Percent, avg300Percent, totalMicros });
}
