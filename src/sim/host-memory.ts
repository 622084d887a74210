/**
 * The host's accounts: every page is free, or some guest's, or holds tmem. Guests and persistent tmem pages may displace
 * ephemeral ones, never each other. It does not know which guest has how much; `SimHost` checks the sums against the guests.
 *
 * Counts in `sim/` are whole numbers of 4 KiB pages without the brand: the models are full of arithmetic on rates and shares.
 * They are branded (and so checked) where they leave the room.
 */
import { pages, type Pages } from '../units.js';

/** A store whose pages the host may take away at any time. */
export interface Evictable {
  /** Loses up to `most` pages. Returns how many it lost, and how many it has left. */
  evict(most: number): { readonly lost: number; readonly left: number };
}

/** Ephemeral pages go from one pool after the other, 1 MiB at a time, so that no guest pays for all. */
const EVICTION_PAGES = 256;

/** The memory of a simulated host, and who has it. Sizes are pages of 4 KiB. */
export class HostMemory {
  readonly totalPages: Pages;
  #free: number;
  #guests = 0;
  #persistent = 0;
  #ephemeral = 0;
  /** Pools with something in them; the next to lose pages comes first. */
  readonly #evictables = new Set<Evictable>();

  constructor(totalPages: Pages) {
    this.totalPages = totalPages;
    this.#free = totalPages;
  }

  get freePages(): Pages {
    return pages(this.#free);
  }
  get guestPages(): Pages {
    return pages(this.#guests);
  }
  get persistentPages(): Pages {
    return pages(this.#persistent);
  }
  get ephemeralPages(): Pages {
    return pages(this.#ephemeral);
  }
  /** What could be granted now: free, or holding only what may vanish. */
  get grantablePages(): Pages {
    return pages(this.#free + this.#ephemeral);
  }

  /** Gives a guest up to `wanted` pages. Returns how many it got. */
  grant(wanted: number): number {
    const granted = this.#makeRoom(wanted);
    this.#free -= granted;
    this.#guests += granted;
    return granted;
  }

  /** A guest gave `count` pages back. */
  giveBack(count: number): void {
    this.#guests = pages(this.#guests - count);
    this.#free += count;
  }

  /** Room for up to `wanted` pages that must stay. Returns for how many. */
  keepPersistent(wanted: number): number {
    const kept = this.#makeRoom(wanted);
    this.#free -= kept;
    this.#persistent += kept;
    return kept;
  }

  dropPersistent(count: number): void {
    this.#persistent = pages(this.#persistent - count);
    this.#free += count;
  }

  /** Room for up to `wanted` pages of `pool` that may vanish; older ones make way. Returns for how many. */
  keepEphemeral(pool: Evictable, wanted: number): number {
    const kept = this.#makeRoom(wanted);
    if (kept === 0) return 0;
    this.#free -= kept;
    this.#ephemeral += kept;
    this.#evictables.add(pool);
    return kept;
  }

  /** `pool` lets go of `count` pages itself; `left` remain in it. */
  dropEphemeral(pool: Evictable, count: number, left: number): void {
    this.#ephemeral = pages(this.#ephemeral - count);
    this.#free += count;
    if (left === 0) this.#evictables.delete(pool);
  }

  /** Evicts until `wanted` pages are free, or nothing is left to evict. Returns how many of the wanted there are. */
  #makeRoom(wanted: number): number {
    while (this.#free < wanted && this.#evictables.size > 0) {
      for (const pool of this.#evictables) {
        this.#evictFrom(pool, Math.min(wanted - this.#free, EVICTION_PAGES));
        break;
      }
    }
    return Math.min(wanted, this.#free);
  }

  #evictFrom(pool: Evictable, most: number): void {
    const { lost, left } = pool.evict(most);
    this.#ephemeral = pages(this.#ephemeral - lost);
    this.#free += lost;
    // To the end of the line, or out of it.
    this.#evictables.delete(pool);
    if (left > 0) this.#evictables.add(pool);
  }
}
