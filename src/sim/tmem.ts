/**
 * Transcendent memory: stores that the hypervisor keeps for a guest in host memory that nobody else has. They know how many
 * pages they hold, not which.
 *
 * Source: specification 1, "What it is for".
 */
import type { Evictable, HostMemory } from './host-memory.js';

/**
 * Cleancache: catches clean page cache that the guest drops. Its pages may vanish whenever the host wants the memory, and a
 * page that is fetched is no longer in it.
 */
export class EphemeralPool implements Evictable {
  readonly #host: HostMemory;
  #count = 0;

  constructor(host: HostMemory) {
    this.#host = host;
  }

  /** Pages in it now. */
  get count(): number {
    return this.#count;
  }

  /** Catches up to `count` pages. Returns how many; the others are gone. */
  put(count: number): number {
    // Evicting for room may hit this very pool, so the count is read only afterwards.
    const kept = this.#host.keepEphemeral(this, count);
    this.#count += kept;
    return kept;
  }

  /** Fetches up to `count` pages, and forgets them. Returns how many there were. */
  get(count: number): number {
    const found = Math.min(count, this.#count);
    this.#count -= found;
    this.#host.dropEphemeral(this, found, this.#count);
    return found;
  }

  evict(most: number): { readonly lost: number; readonly left: number } {
    const lost = Math.min(most, this.#count);
    this.#count -= lost;
    return { lost, left: this.#count };
  }

  /** Lets go of everything. */
  close(): void {
    this.get(this.#count);
  }
}

/** Frontswap: its pages stay until they are fetched or dropped, and so the host may refuse to take more. */
export class PersistentPool {
  readonly #host: HostMemory;
  #count = 0;

  constructor(host: HostMemory) {
    this.#host = host;
  }

  /** Pages in it now. */
  get count(): number {
    return this.#count;
  }

  /** Takes up to `count` pages. Returns how many; the others were refused, because the host has no room. */
  put(count: number): number {
    const kept = this.#host.keepPersistent(count);
    this.#count += kept;
    return kept;
  }

  /** Fetches or drops up to `count` pages. Returns how many there were. */
  get(count: number): number {
    const found = Math.min(count, this.#count);
    this.#count -= found;
    this.#host.dropPersistent(found);
    return found;
  }

  /** Lets go of everything. */
  close(): void {
    this.get(this.#count);
  }
}
