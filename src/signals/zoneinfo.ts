/**
 * `/proc/zoneinfo` → what the kernel keeps for itself, and the highest page frame the guest could have. It does not know when
 * the file should be read again.
 *
 * Source: specification 1, "Inputs of one step".
 */
import { known, unknown, type Field, type Unknown } from '../control/signal.js';
import { NO_PAGES, addPages, maxPages, minPages, pages, type Pages } from '../units.js';
import { malformed } from './text.js';
import { ZONEINFO, parseZones, type Zone } from './zoneinfo-zones.js';

export interface Zoneinfo {
  /**
   * `totalreservePages`: for each zone the largest entry of `protection` + the high watermark without its momentary boost, at
   * most what is managed; summed over all zones of all nodes. `not-reported` on kernels before about 3.8, which do not say what is managed.
   */
  readonly reserve: Field<Pages>;
  /** `maxPfn`: the largest `start_pfn` + `spanned`. */
  readonly maxPfn: Field<Pages>;
}

/**
 * Parses the text of `/proc/zoneinfo`. `total` is `MemTotal`, or null where it is not known: zones which together have fewer
 * pages than that cannot be all of them, or count pages larger than 4 KiB (some arm64 and ppc64 kernels do); the result is
 * then `implausible`. Never throws.
 */
export function parseZoneinfo(text: string, total: Pages | null): Zoneinfo {
  const zones = parseZones(text);
  if (!zones.known) return { reserve: zones, maxPfn: zones };
  const refusal = refuseImplausible(zones.value, total);
  if (refusal !== null) return { reserve: refusal, maxPfn: refusal };
  return { reserve: sumReserve(zones.value), maxPfn: findMaxPfn(zones.value) };
}

function refuseImplausible(zones: readonly Zone[], total: Pages | null): Unknown | null {
  const tooLarge = zones.find(
    (zone) => (zone.present ?? 0) > (zone.spanned ?? Infinity) || (zone.managed ?? 0) > (zone.present ?? Infinity),
  );
  if (tooLarge !== undefined) {
    return unknown('implausible', `${ZONEINFO}: zone ${tooLarge.name} has more pages than it has room for`);
  }
  const present = zones.reduce((sum, zone) => sum + (zone.present ?? 0), 0);
  if (!Number.isSafeInteger(present)) return unknown('implausible', `${ZONEINFO}: more than 2^53 pages`);
  if (total === null || present >= total) return null;
  return unknown('implausible', `${ZONEINFO}: its zones have ${present} pages and MemTotal says ${total}`);
}

function sumReserve(zones: readonly Zone[]): Field<Pages> {
  let sum = NO_PAGES;
  for (const zone of zones) {
    if (zone.present === 0) continue;
    const { managed, high, boost, protection } = zone;
    if (managed === null) return unknown('not-reported', `${ZONEINFO} does not say what zone ${zone.name} manages`);
    if (high === null || protection === null) return malformed(ZONEINFO, `zone ${zone.name} is not complete`);
    const kept = Math.max(0, ...protection) + Math.max(0, high - (boost ?? 0));
    if (!Number.isSafeInteger(kept)) return malformed(ZONEINFO, `zone ${zone.name} keeps more than 2^53 pages`);
    sum = addPages(sum, minPages(pages(kept), pages(managed)));
  }
  return known(sum);
}

function findMaxPfn(zones: readonly Zone[]): Field<Pages> {
  let highest = NO_PAGES;
  for (const zone of zones) {
    if (zone.present === 0) continue;
    if (zone.startPfn === null || zone.spanned === null) return malformed(ZONEINFO, `zone ${zone.name} has no extent`);
    const end = zone.startPfn + zone.spanned;
    if (!Number.isSafeInteger(end)) return malformed(ZONEINFO, `zone ${zone.name} ends above 2^53`);
    highest = maxPages(highest, pages(end));
  }
  return known(highest);
}
