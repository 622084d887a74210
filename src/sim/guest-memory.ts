/**
 * What a guest's RAM and swap hold, as counts: a tick costs the same however large the guest is. Anonymous memory and page
 * cache each have a part in use ("hot") and a part that nobody asks for ("cold"). It keeps the accounts and gives up pages
 * in the kernel's order; when to do so is the kernel's business.
 */
import { COPY_SECONDS, DISK_WRITE_SECONDS, DROP_SECONDS, SWAPPINESS_SHARE } from './costs.js';
import type { SwapSpace } from './swap-space.js';
import type { EphemeralPool } from './tmem.js';

/** Anonymous memory of one kind: in RAM, and swapped out. */
export interface Anonymous {
  resident: number;
  swapped: number;
}

export class GuestMemory {
  /** RAM that the kernel manages: `MemTotal`. */
  ram: number;
  readonly kernel: number;
  readonly swap: SwapSpace;
  readonly hot: Anonymous = { resident: 0, swapped: 0 };
  readonly cold: Anonymous = { resident: 0, swapped: 0 };
  cacheHot = 0;
  cacheCold = 0;
  /** The part of `cacheCold` that is not on disk yet, and so cannot be dropped. */
  dirty = 0;
  /** File pages in use that were dropped; reading one again is a refault. */
  droppedHot = 0;
  /** Seconds that tasks waited since this was last set to 0. */
  stalledSeconds = 0;
  readonly #cleancache: EphemeralPool | null;
  /** The share of the cleancache's pages that are in use. The host evicts without looking, so it stays. */
  #cleancacheHotShare = 0;

  constructor(ram: number, kernel: number, swap: SwapSpace, cleancache: EphemeralPool | null) {
    this.ram = ram;
    this.kernel = kernel;
    this.swap = swap;
    this.#cleancache = cleancache;
  }

  get anonymous(): number {
    return this.hot.resident + this.cold.resident;
  }
  get cached(): number {
    return this.cacheHot + this.cacheCold;
  }
  get free(): number {
    return this.ram - this.kernel - this.anonymous - this.cached;
  }
  /** What could be given up without killing anyone. */
  get reclaimable(): number {
    return this.cacheHot + this.cacheCold - this.dirty + Math.min(this.swap.roomPages, this.anonymous);
  }

  /**
   * Gives up to `wanted` pages up: first cache that nobody reads, then cache in use and anonymous memory nobody touches side
   * by side, memory in use last. `whoWaits` says whether tasks wait for it. Returns how many became free.
   */
  reclaim(wanted: number, whoWaits: 'tasks' | 'nobody'): number {
    let missing = wanted;
    missing -= this.dropCold(missing, whoWaits);
    if (missing > 0) {
      const share = this.cacheHot === 0 ? missing : Math.ceil(missing * SWAPPINESS_SHARE);
      missing -= this.#swapOut(this.cold, share, whoWaits);
    }
    if (missing > 0) missing -= this.#dropHot(missing, whoWaits);
    if (missing > 0) missing -= this.#swapOut(this.cold, missing, whoWaits);
    if (missing > 0) missing -= this.#swapOut(this.hot, missing, whoWaits);
    return wanted - missing;
  }

  /** Drops up to `wanted` clean pages that nobody reads. */
  dropCold(wanted: number, whoWaits: 'tasks' | 'nobody'): number {
    const dropped = Math.min(wanted, this.cacheCold - this.dirty);
    if (dropped <= 0) return 0;
    this.cacheCold -= dropped;
    this.#catch(dropped, 0);
    if (whoWaits === 'tasks') this.stalledSeconds += dropped * DROP_SECONDS;
    return dropped;
  }

  /** `count` file pages in use are read again. Returns how many of them the cleancache still had. */
  fetchDropped(count: number): number {
    const pool = this.#cleancache;
    if (pool === null || this.droppedHot === 0) return 0;
    const caught = Math.min(this.droppedHot, pool.count * this.#cleancacheHotShare);
    const before = pool.count;
    const found = pool.get(Math.min(Math.floor((count * caught) / this.droppedHot), Math.floor(caught)));
    const hotLeft = Math.max(0, before * this.#cleancacheHotShare - found);
    this.#cleancacheHotShare = pool.count === 0 ? 0 : hotLeft / pool.count;
    return found;
  }

  /**
   * `part` grows by up to `count` pages that find no room in RAM: each pushes an older one out as it is made, so in the end
   * as many lie in swap. Returns how many could.
   */
  growIntoSwap(part: Anonymous, count: number): number {
    const grown = Math.min(count, this.swap.roomPages);
    part.resident += grown;
    this.#swapOut(part, grown, 'tasks');
    return grown;
  }

  /** `count` pages of `part` are given back by their owners, wherever they are. */
  release(part: Anonymous, count: number): void {
    const all = part.resident + part.swapped;
    const swapped = Math.min(part.swapped, Math.round((count * part.swapped) / all));
    const resident = Math.min(part.resident, count - swapped);
    part.resident -= resident;
    part.swapped -= count - resident;
    this.swap.remove(count - resident);
  }

  #dropHot(wanted: number, whoWaits: 'tasks' | 'nobody'): number {
    const dropped = Math.min(wanted, this.cacheHot);
    this.cacheHot -= dropped;
    this.droppedHot += dropped;
    this.#catch(dropped, dropped);
    if (whoWaits === 'tasks') this.stalledSeconds += dropped * DROP_SECONDS;
    return dropped;
  }

  #swapOut(part: Anonymous, wanted: number, whoWaits: 'tasks' | 'nobody'): number {
    const out = Math.min(wanted, part.resident, this.swap.roomPages);
    if (out <= 0) return 0;
    part.resident -= out;
    part.swapped += out;
    const toDisk = this.swap.put(out);
    if (whoWaits === 'tasks') this.stalledSeconds += toDisk * DISK_WRITE_SECONDS + (out - toDisk) * COPY_SECONDS;
    return out;
  }

  /** Clean pages leave the guest; the cleancache catches what it can. */
  #catch(count: number, hot: number): void {
    const pool = this.#cleancache;
    if (pool === null || count === 0) return;
    const hotBefore = pool.count * this.#cleancacheHotShare;
    const kept = pool.put(count);
    if (pool.count === 0) return;
    const hotNow = hotBefore + (kept * hot) / count;
    this.#cleancacheHotShare = Math.min(1, hotNow / pool.count);
  }
}
