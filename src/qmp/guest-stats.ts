/**
 * What a guest says of its memory through the balloon: `guest-stats` of a virtio-balloon device, by `qom-get`. The guest chooses the
 * numbers; when they came is QEMU's word. Nothing here throws. It does not know what the numbers mean for anybody.
 */
import type { Bytes } from '../units.js';
import { bytesIn, countIn, isObject } from './fields.js';

/** Each is null where the guest has not said it, or has said what cannot be: QEMU shows 2^64 − 1 then. Counters begin with the guest. */
export interface GuestStats {
  /**
   * When the guest said so, by the host's clock, in whole seconds since 1970. Null: it has not said anything yet, and everything else is
   * null then. It grows by the polling interval as long as the guest answers.
   */
  readonly lastUpdate: number | null;
  readonly totalMemory: Bytes | null;
  /** What it could use without swapping. */
  readonly availableMemory: Bytes | null;
  /** What is used for nothing at all. */
  readonly freeMemory: Bytes | null;
  /** What the cache of files holds. */
  readonly diskCaches: Bytes | null;
  /** Swapped in since the guest began. */
  readonly swapIn: Bytes | null;
  /** Swapped out since the guest began. */
  readonly swapOut: Bytes | null;
  /** Page faults that had to wait for a disk. */
  readonly majorFaults: number | null;
  /** Page faults of other kinds; Linux counts all of them here. */
  readonly minorFaults: number | null;
  /** Huge pages that were allocated, in pages. */
  readonly hugePagesAllocated: number | null;
  /** Huge pages that could not be. */
  readonly hugePagesFailed: number | null;
  /** Processes killed for want of memory. This and what follows: newer QEMUs and guests only. */
  readonly oomKills: number | null;
  /** Allocations that had to wait. */
  readonly allocationStalls: number | null;
  /** Scanned for reclaim in the background, in the guest's pages. */
  readonly asyncScans: number | null;
  /** Scanned by those who needed memory, in the guest's pages. */
  readonly directScans: number | null;
  /** Reclaimed in the background, in the guest's pages. */
  readonly asyncReclaims: number | null;
  /** Reclaimed by those who needed memory, in the guest's pages. */
  readonly directReclaims: number | null;
}

/** `guest-stats`. Null where it is not what a balloon says. */
export function decodeGuestStats(answer: unknown): GuestStats | null {
  if (!isObject(answer)) return null;
  const { stats, 'last-update': updated } = answer;
  if (!isObject(stats)) return null;
  const lastUpdate = countIn(updated);
  if (lastUpdate === null) return null;
  // Before the first word of this guest nothing is its word; QEMU says so with 0.
  const said = lastUpdate === 0 ? {} : stats;
  return {
    lastUpdate: lastUpdate === 0 ? null : lastUpdate,
    totalMemory: bytesIn(said['stat-total-memory']),
    availableMemory: bytesIn(said['stat-available-memory']),
    freeMemory: bytesIn(said['stat-free-memory']),
    diskCaches: bytesIn(said['stat-disk-caches']),
    swapIn: bytesIn(said['stat-swap-in']),
    swapOut: bytesIn(said['stat-swap-out']),
    majorFaults: countIn(said['stat-major-faults']),
    minorFaults: countIn(said['stat-minor-faults']),
    hugePagesAllocated: countIn(said['stat-htlb-pgalloc']),
    hugePagesFailed: countIn(said['stat-htlb-pgfail']),
    oomKills: countIn(said['stat-oom-kills']),
    allocationStalls: countIn(said['stat-alloc-stalls']),
    asyncScans: countIn(said['stat-async-scans']),
    directScans: countIn(said['stat-direct-scans']),
    asyncReclaims: countIn(said['stat-async-reclaims']),
    directReclaims: countIn(said['stat-direct-reclaims']),
  };
}
