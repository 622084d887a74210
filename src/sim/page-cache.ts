/**
 * File reads and writes of one tick: what is found in the page cache, what must be fetched and from where, and how the cache
 * grows into memory that nobody else wants.
 */
import { COPY_SECONDS, DISK_READ_SECONDS, WRITEBACK_SECONDS } from './costs.js';
import type { GuestMemory } from './guest-memory.js';
import type { Demand } from './workload.js';

/** Makes up to `wanted` pages free for a task that waits; returns how many it may use. */
export type Obtain = (wanted: number) => number;

export interface ReadCounts {
  /** Pages read again after they had been dropped. */
  readonly refaults: number;
  /** Pages fetched from the disk. */
  readonly diskReads: number;
}

const NOTHING_READ: ReadCounts = { refaults: 0, diskReads: 0 };

/** The file pages in use are others now, or fewer: what fell out of use is cold. */
export function adoptWorkingSet(memory: GuestMemory, fileHotPages: number): void {
  const excess = memory.cacheHot - fileHotPages;
  if (excess > 0) {
    memory.cacheHot -= excess;
    memory.cacheCold += excess;
  }
  memory.droppedHot = Math.min(memory.droppedHot, fileHotPages - memory.cacheHot);
}

/** Reads from the file pages in use for `seconds`, with at most `diskReadsMax` from the disk. */
export function rereadFiles(
  memory: GuestMemory,
  demand: Demand,
  limits: { readonly seconds: number; readonly diskReadsMax: number },
  obtain: Obtain,
): ReadCounts {
  const missing = demand.fileHotPages - memory.cacheHot;
  if (missing <= 0 || demand.rereadsPerSecond <= 0) return NOTHING_READ;
  const touched = 1 - Math.exp((-demand.rereadsPerSecond * limits.seconds) / demand.fileHotPages);
  const wanted = Math.min(Math.ceil(missing * touched), limits.diskReadsMax);
  const read = Math.min(obtain(wanted), demand.fileHotPages - memory.cacheHot);
  if (read <= 0) return NOTHING_READ;
  const absent = demand.fileHotPages - memory.cacheHot;
  const refaults = Math.min(read, Math.round((read * memory.droppedHot) / absent));
  const caught = memory.fetchDropped(refaults);
  memory.droppedHot -= refaults;
  memory.cacheHot += read;
  // What is read for the first time would have to be waited for with any amount of memory: that is no pressure.
  memory.stalledSeconds += caught * COPY_SECONDS + (refaults - caught) * DISK_READ_SECONDS;
  return { refaults, diskReads: read - caught };
}

/** Files read or written once for `seconds`: they fill memory down to `keepFree`, and then push each other out. */
export function streamFiles(memory: GuestMemory, demand: Demand, seconds: number, keepFree: number): void {
  const streamed = Math.floor((demand.readsPerSecond + demand.writesPerSecond) * seconds);
  if (streamed > 0) {
    const intoFree = Math.min(streamed, Math.max(0, memory.free - keepFree));
    const replaced = memory.dropCold(streamed - intoFree, 'nobody');
    memory.cacheCold += intoFree + replaced;
  }
  memory.dirty = Math.min(memory.cacheCold, Math.floor(demand.writesPerSecond * WRITEBACK_SECONDS));
}
