/**
 * A guest's swap: a disk with frontswap in front. A page that frontswap takes still has its slot on the disk, so the size of
 * the disk limits both together. It knows counts, not pages: fetches and drops fall on both stores by their shares.
 */
import type { PersistentPool } from './tmem.js';

export class SwapSpace {
  readonly totalPages: number;
  readonly #frontswap: PersistentPool | null;
  #disk = 0;

  /** `frontswap` null: this guest has none, and everything goes to the disk. */
  constructor(totalPages: number, frontswap: PersistentPool | null) {
    this.totalPages = totalPages;
    this.#frontswap = frontswap;
  }

  get frontswapPages(): number {
    return this.#frontswap?.count ?? 0;
  }
  get diskPages(): number {
    return this.#disk;
  }
  get usedPages(): number {
    return this.frontswapPages + this.#disk;
  }
  get roomPages(): number {
    return this.totalPages - this.usedPages;
  }

  /** Stores `count` pages, at most `roomPages`. Returns how many had to go to the disk. */
  put(count: number): number {
    const stored = Math.min(count, this.roomPages);
    const caught = this.#frontswap?.put(stored) ?? 0;
    this.#disk += stored - caught;
    return stored - caught;
  }

  /** Fetches or drops `count` pages, at most `usedPages`. Returns how many of them were on the disk. */
  remove(count: number): number {
    const removed = Math.min(count, this.usedPages);
    if (removed === 0) return 0;
    const fromDisk = Math.min(this.#disk, Math.round((removed * this.#disk) / this.usedPages));
    const fromFrontswap = this.#frontswap?.get(removed - fromDisk) ?? 0;
    const fromDiskAfterAll = removed - fromFrontswap;
    this.#disk -= fromDiskAfterAll;
    return fromDiskAfterAll;
  }

  /** Fetches up to `count` pages from frontswap alone. Returns how many. */
  removeFromFrontswap(count: number): number {
    return this.#frontswap?.get(count) ?? 0;
  }
}
