/**
 * What stands in a domain's xenstore folder about its memory: paths and texts ↔ sizes. Everything counts KiB of what the guest
 * *keeps*. Some of it is written by the guest itself, which may be hostile; nothing here throws. It knows nothing of connections.
 *
 * Sources: Xen's xenstore-paths document (`vm`, `memory/target`, `memory/static-max`, `memory/videoram`), XAPI's `memory/dynamic-min` and
 * `memory/dynamic-max`, and Qubes' `memory/meminfo` (one number, used KiB, written by the guest).
 */
import type { GuestLimits } from '../../control/limits.js';
import { known, unknown, type Field } from '../../control/signal.js';
import { quoted } from '../../errors.js';
import { REPORT_NODE } from '../../signals/report-ways.js';
import {
  kib,
  kibToPagesDown,
  kibToPagesUp,
  mib,
  mibToPages,
  minPages,
  NO_PAGES,
  pagesToKib,
  type GuestSize,
  type Pages,
} from '../../units.js';

export const DOMAINS = '/local/domain';

export const homeOf = (domid: number): string => `${DOMAINS}/${domid}`;

/** Below a domain's home. */
export const NODES = {
  name: 'name',
  /** The path of its machine, with an id that outlasts a reboot. */
  machine: 'vm',
  memory: 'memory',
  target: 'memory/target',
  staticMax: 'memory/static-max',
  videoRam: 'memory/videoram',
  dynamicMin: 'memory/dynamic-min',
  dynamicMax: 'memory/dynamic-max',
  used: 'memory/meminfo',
  /** Where our reporter in the guest writes. */
  report: REPORT_NODE,
} as const;

/** A domain's number, or null for what is none. */
export function parseDomid(name: string): number | null {
  return /^(0|[1-9]\d{0,4})$/.test(name) ? Number(name) : null;
}

const KIB_TEXT = /^\d{1,15}$/;

/** A size as the toolstack and Qubes' guests write it. */
export function parseKib(node: string, text: string): Field<number> {
  const body = text.trim();
  if (KIB_TEXT.test(body)) return known(Number(body));
  return unknown('malformed', `${node} has ${quoted(text, 40)}, not a number of KiB`);
}

/** The same in pages; part pages are dropped. */
export function parseSize(node: string, text: string): Field<Pages> {
  const size = parseKib(node, text);
  return size.known ? known(kibToPagesDown(kib(size.value))) : size;
}

/** More than any emulated graphics card has; what is above it is no reason to let a guest have it as memory. */
const VIDEO_RAM_MAX = mibToPages(mib(512));

/**
 * What an HVM guest's graphics card has. Xen's toolstack leaves it out of the target and adds it to Xen's limit. `text`: null where there
 * is none.
 */
export function videoRamIn(text: string | null): Pages {
  const size = text === null ? null : parseSize(NODES.videoRam, text);
  return size?.known === true ? minPages(size.value, VIDEO_RAM_MAX) : NO_PAGES;
}

/** What is written to `memory/target`; null for a target that must never be asked for: 0, or 2^53 KiB and more. */
export function formatTarget(target: GuestSize): string | null {
  if (target === 0 || target > Math.floor(Number.MAX_SAFE_INTEGER / 4)) return null;
  return String(pagesToKib(target));
}

/**
 * What the administrator's two nodes allow; texts that are not there are null. What is not a number is as if it were not there, and
 * so is 0: nobody means a guest without memory. A floor is rounded up, a ceiling down; a ceiling below the floor counts as the floor.
 */
export function limitsOf(min: string | null, max: string | null): GuestLimits {
  const floor = limitIn(NODES.dynamicMin, min);
  const ceiling = limitIn(NODES.dynamicMax, max);
  const floorPages = floor === null ? NO_PAGES : kibToPagesUp(kib(floor));
  if (ceiling === null) return { floor: floorPages, ceiling: null };
  const ceilingPages = kibToPagesDown(kib(ceiling));
  return { floor: floorPages, ceiling: ceilingPages < floorPages ? floorPages : ceilingPages };
}

function limitIn(node: string, text: string | null): number | null {
  if (text === null) return null;
  const size = parseKib(node, text);
  return size.known && size.value > 0 ? size.value : null;
}
