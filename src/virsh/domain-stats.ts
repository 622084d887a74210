/**
 * What libvirt says of all active domains at once: `virsh domstats`. Units are known here; the guests choose some of the numbers, and
 * nothing here throws. It does not know what the numbers mean for anybody.
 */
import type { KiB } from '../units.js';
import { countIn, kibIn } from './numbers.js';

/** Each is null where libvirt does not say it; what the guest has not reported libvirt leaves out. Counters begin with the guest. */
export interface DomainStats {
  readonly name: string;
  /** `virDomainState`: 1 running, 3 paused, 4 shutting down. */
  readonly state: number | null;
  /** What the guest keeps, with what virtio-mem has added. Without a balloon: what it has. */
  readonly current: KiB | null;
  /** What it could have, with all of its memory devices at their largest. */
  readonly maximum: KiB | null;
  /**
   * When the guest said the rest, by the host's clock, in whole seconds since 1970; 0: it has not said anything yet. Null: libvirt could
   * not ask QEMU at once, or the domain has no balloon; the rest is null then.
   */
  readonly lastUpdate: number | null;
  /** `stat-total-memory` of virtio-balloon: libvirt calls it available. */
  readonly total: KiB | null;
  /** `stat-free-memory`: what libvirt calls unused. */
  readonly free: KiB | null;
  /** `stat-available-memory`, what could be used without swapping: what libvirt calls usable. */
  readonly available: KiB | null;
  readonly diskCaches: KiB | null;
  readonly swapIn: KiB | null;
  readonly swapOut: KiB | null;
  readonly majorFaults: number | null;
  /** Memory of the host that its QEMU holds. */
  readonly resident: KiB | null;
}

export const STATE_PAUSED = 3;

/** Without waiting for domains that others are busy with: one that does not answer must not hold up the rest. */
export const DOMAIN_STATS: readonly string[] = ['domstats', '--state', '--balloon', '--list-active', '--nowait'];

/** The same of these alone, one at least. Refused as a whole where one of them is not there. */
export const domainStatsOf = (uuids: readonly string[]): readonly string[] => [
  ...['domstats', '--state', '--balloon', '--nowait'],
  ...uuids,
];

/** Those that are named; lines that are not understood are left out. Of two of one name the second counts. */
export function parseDomainStats(lines: readonly string[]): ReadonlyMap<string, DomainStats> {
  const domains = new Map<string, Map<string, string>>();
  let fields: Map<string, string> | null = null;
  for (const line of lines) {
    // Names may have quotes in them, and anything but an end of line.
    const name = /^Domain: '(.*)'$/.exec(line)?.[1];
    if (name !== undefined) {
      fields = new Map();
      domains.set(name, fields);
      continue;
    }
    const [, key, value] = /^ {2}([\w.-]+)=(.*)$/.exec(line) ?? [];
    if (key !== undefined && value !== undefined && KEYS.has(key)) fields?.set(key, value);
  }
  return new Map([...domains].map(([name, said]) => [name, statsOf(name, said)]));
}

const BALLOON_KEYS = [
  ...['current', 'maximum', 'last-update', 'available', 'unused', 'usable', 'disk_caches', 'swap_in', 'swap_out'],
  ...['major_fault', 'rss'],
];
const KEYS = new Set(['state.state', ...BALLOON_KEYS.map((key) => `balloon.${key}`)]);

function statsOf(name: string, fields: ReadonlyMap<string, string>): DomainStats {
  const size = (key: string): KiB | null => kibIn(fields.get(`balloon.${key}`));
  const lastUpdate = countIn(fields.get('balloon.last-update'));
  // Before the first word of this guest nothing is its word.
  const said = (key: string): KiB | null => (lastUpdate === null || lastUpdate === 0 ? null : size(key));
  return {
    name,
    state: countIn(fields.get('state.state')),
    current: size('current'),
    maximum: size('maximum'),
    lastUpdate,
    total: said('available'),
    free: said('unused'),
    available: said('usable'),
    diskCaches: said('disk_caches'),
    swapIn: said('swap_in'),
    swapOut: said('swap_out'),
    majorFaults: said('major_fault'),
    resident: size('rss'),
  };
}
