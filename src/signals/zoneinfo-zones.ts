/**
 * `/proc/zoneinfo` as a list of zones. It knows the layouts that kernels have printed since 2.6 and notices a text that ends
 * too early; it does not know what the numbers are used for.
 *
 * Source: the kernel's mm/vmstat.c (zoneinfo_show_print).
 */
import { known, type Field } from '../control/signal.js';
import { forEachLine, malformed, parseWhole, quote, refuseText, skipSpaces } from './text.js';

/** One zone of one node, in pages. A number that the zone's lines do not give is null. */
export interface Zone {
  readonly node: string;
  readonly name: string;
  /** The zone's high watermark. (`high:`, with a colon, is a per-CPU list's and is not this.) */
  readonly high: number | null;
  /**
   * What each watermark of the zone is raised by for the moment, because memory was found fragmented; it is in `high`. Older kernels
   * do not say; Linux 6.1 does.
   */
  readonly boost: number | null;
  /** Page frames from the zone's first to its last, holes included. */
  readonly spanned: number | null;
  /** Page frames that exist. 0: the zone is unpopulated, and the kernel prints little of it. */
  readonly present: number | null;
  /** Pages that the kernel hands out. Kernels before about 3.8 do not say. */
  readonly managed: number | null;
  /** Pages that it keeps from allocations which could use a higher zone; one number for each zone of the node. */
  readonly protection: readonly number[] | null;
  /** The zone's first page frame. Stands at the zone's end; unpopulated zones have none. */
  readonly startPfn: number | null;
}

export const ZONEINFO = '/proc/zoneinfo';
/** 4,096 nodes (the most a kernel can be built for) of 6 zones would not fit into the text limit; this is far above it. */
const ZONES_MAX = 16_384;
/** A kernel has at most 6 zones a node. */
const PROTECTION_LENGTH_MAX = 64;

const HEADING = /^Node (\d{1,5}), zone +(\S{1,32})$/;
const KEYS = new Map<string, 'high' | 'boost' | 'spanned' | 'present' | 'managed' | 'startPfn'>([
  ['high', 'high'],
  ['boost', 'boost'],
  ['spanned', 'spanned'],
  ['present', 'present'],
  ['managed', 'managed'],
  ['start_pfn:', 'startPfn'],
]);
const PROTECTION = 'protection:';
const CODE_SPACE = 32;

/** A zone while its lines are being taken in. */
type Draft = { -readonly [Key in keyof Zone]: Zone[Key] };

/** The zones in the order of the text. Anything amiss in a line that matters makes the whole list `malformed`. */
export function parseZones(text: string): Field<readonly Zone[]> {
  const refusal = refuseText(ZONEINFO, text);
  if (refusal !== null) return refusal;
  if (!text.endsWith('\n')) return malformed(ZONEINFO, 'cut short');
  const drafts: Draft[] = [];
  const faults: string[] = [];
  forEachLine(text, (start, end) => {
    const fault = faults.length === 0 ? takeLine(drafts, text, start, end) : null;
    if (fault !== null) faults.push(fault);
  });
  const fault = faults[0] ?? findIncomplete(drafts) ?? findUnfollowed(drafts);
  return fault === null ? known(drafts) : malformed(ZONEINFO, fault);
}

/** Takes one line into the last zone, or starts a zone. Returns what is wrong with it, if anything is. */
function takeLine(drafts: Draft[], text: string, start: number, end: number): string | null {
  if (text.startsWith('Node ', start)) return startZone(drafts, text.slice(start, end));
  const keyStart = skipSpaces(text, start, end);
  const key = wordAt(text, keyStart, end);
  const field = KEYS.get(key);
  if (field === undefined && key !== PROTECTION) return null;
  const zone = drafts.at(-1);
  if (zone === undefined) return `${quote(key)} before the first zone`;
  const where = `Node ${zone.node}, zone ${zone.name}`;
  const valueStart = skipSpaces(text, keyStart + key.length, end);
  if (zone[field ?? 'protection'] !== null) return `${where}: ${quote(key)} is there twice`;
  const value = field === undefined ? null : parseWhole(text, valueStart, end);
  if (field === undefined) zone.protection = parseProtection(text.slice(valueStart, end));
  else zone[field] = value;
  return zone[field ?? 'protection'] === null ? `${where}: ${quote(text.slice(keyStart, end))} is not readable` : null;
}

const KEY_LENGTH_MAX = 12;

/** The word that begins at `from`, or '' when it is longer than any key. */
function wordAt(text: string, from: number, end: number): string {
  let to = from;
  while (to < end && text.charCodeAt(to) !== CODE_SPACE) {
    to += 1;
    if (to - from > KEY_LENGTH_MAX) return '';
  }
  return text.slice(from, to);
}

function startZone(drafts: Draft[], line: string): string | null {
  const [, node, name] = HEADING.exec(line) ?? [];
  if (node === undefined || name === undefined) return `${quote(line)} is not a zone's heading`;
  if (drafts.length === ZONES_MAX) return `more than ${ZONES_MAX} zones`;
  drafts.push({
    node,
    name,
    high: null,
    boost: null,
    spanned: null,
    present: null,
    managed: null,
    protection: null,
    startPfn: null,
  });
  return null;
}

/** `(0, 3019, 3659)` → the numbers; null when it is anything else. */
function parseProtection(text: string): readonly number[] | null {
  if (!text.startsWith('(') || !text.endsWith(')')) return null;
  const entries = text.slice(1, -1).split(', ', PROTECTION_LENGTH_MAX + 1);
  if (entries.length > PROTECTION_LENGTH_MAX) return null;
  const numbers = entries.map((entry) => parseWhole(entry)).filter((entry) => entry !== null);
  return numbers.length === entries.length ? numbers : null;
}

/** A zone that was cut between two lines, or that stands in the text twice. */
function findIncomplete(zones: readonly Zone[]): string | null {
  if (zones.length === 0) return 'no zone in it';
  const seen = new Set<string>();
  for (const zone of zones) {
    const where = `Node ${zone.node}, zone ${zone.name}`;
    if (seen.has(where)) return `${where} is there twice`;
    seen.add(where);
    const isComplete = zone.present === 0 || (zone.present !== null && zone.startPfn !== null);
    if (!isComplete) return `${where} is not complete`;
  }
  return null;
}

/**
 * A text that ends after a zone, before others that must follow: a row of `protection` grows at each higher zone of the node
 * that has memory, so there must be at least so many.
 */
function findUnfollowed(zones: readonly Zone[]): string | null {
  const populatedAbove = new Map<string, number>();
  for (const zone of zones.toReversed()) {
    if (zone.present === 0) continue;
    const above = populatedAbove.get(zone.node) ?? 0;
    if (above < countGrowth(zone.protection ?? [])) {
      return `Node ${zone.node}, zone ${zone.name} protects memory from higher zones that are not there`;
    }
    populatedAbove.set(zone.node, above + 1);
  }
  return null;
}

const countGrowth = (row: readonly number[]): number =>
  row.filter((entry, index) => entry > (row[index - 1] ?? entry)).length;
