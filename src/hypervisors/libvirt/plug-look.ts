/**
 * When a domain is described anew because something may be plugged into it, or out of it. It does not know how that is done.
 *
 * What each device has is in `virsh dumpxml` alone, one call a domain. `domstats`, one call for all, has the sum of that and of what the
 * balloon leaves; so as long as that sum is what it was, and nothing is asked or on its way, a description stays good. libvirt's event
 * `memory-device-size-change` makes the domain be met again besides, which is a description too.
 */
import { addMillis, millis, type KiB, type Millis } from '../../units.js';
import type { Domain } from './domain.js';
import type { DomainPlug } from './memory-devices.js';

/** What somebody else asked for, of a guest that did nothing about it, shows in nothing else. */
const DESCRIBED_FOR = millis(30_000);

/** Whether the description may be out of date in that. `total`: as the statistics have it; null: not known. */
export function isOutdated(domain: Domain, plugs: readonly DomainPlug[], total: KiB | null, now: Millis): boolean {
  const { shape, describedAt, isGrowthNews } = domain;
  if (plugs.length === 0) return false;
  return (
    isGrowthNews ||
    shape.currentMemory !== total ||
    plugs.some(({ plugged, asked }) => plugged !== asked) ||
    now >= addMillis(describedAt, DESCRIBED_FOR)
  );
}
