/**
 * The hosts within one step: what each has free as far as that is known, and what part of their wants its guests get while all want
 * everything at once. It does not know the guests.
 */
import { NO_PAGES, type Millis, type Pages } from '../units.js';
import type { Tell } from './actions.js';
import { believableHost } from './believe.js';
import { HOST_READING_AGE_MAX, spareIn, type HostReading, type PoolId, type PoolView } from './pool.js';
import { NOT_REPORTED, refuseStale } from './signal.js';
import { afterFailedLook, afterHostReading, type UnseenHosts, type UnseenNews } from './unseen-host.js';

/** What a state keeps of them: how each was last seen, and of which it was told that nobody knows what they have free. */
export interface KnownHosts {
  readonly pools: Readonly<Record<PoolId, HostReading>>;
  readonly unseenHosts: UnseenHosts;
}

/** The working copy of what is known of the hosts. It lives for one step. */
export class StepHosts {
  #pools: KnownHosts['pools'];
  #unseenHosts: UnseenHosts;
  /** Below 1 while all guests of a pool want more together than it has. */
  readonly #shares = new Map<PoolId, number>();
  readonly #seen = new Set<PoolId>();

  constructor(
    { pools, unseenHosts }: KnownHosts,
    readonly now: Millis,
    readonly tell: (news: Tell) => void,
  ) {
    this.#pools = pools;
    this.#unseenHosts = unseenHosts;
  }

  get known(): KnownHosts {
    return { pools: this.#pools, unseenHosts: this.#unseenHosts };
  }

  /** Of which there is a look in this step. */
  get seen(): ReadonlySet<PoolId> {
    return this.#seen;
  }

  observe(raw: HostReading): void {
    const host = believableHost(raw, this.now, HOST_READING_AGE_MAX);
    this.#pools = { ...this.#pools, [host.pool]: host };
    this.#seen.add(host.pool);
    this.#note(afterHostReading(this.#unseenHosts, host, this.now));
  }

  /** A look at one of its guests failed. */
  noteFailedLook(pool: PoolId, message: string): void {
    this.#note(afterFailedLook(this.#unseenHosts, { pool, host: this.#lastOf(pool), message }, this.now));
  }

  /** What a guest's growth must fit in, where others were promised `promised`. */
  viewOf(pool: PoolId, promised: Pages): PoolView {
    const host = this.#lastOf(pool);
    const free = refuseStale(host?.free ?? NOT_REPORTED, this.now, HOST_READING_AGE_MAX);
    return {
      at: free.known ? free.at : null,
      free: free.known ? free.value : NO_PAGES,
      reserve: host?.reserve ?? NO_PAGES,
      promised,
      share: this.#shares.get(pool) ?? 1,
    };
  }

  /** A host may not have what all its guests could have together: then each gets the same part of what it lacks. */
  shareOut(pool: PoolId, wanted: Pages, promised: Pages): void {
    const spare = spareIn(this.viewOf(pool, promised));
    if (spare < wanted) this.#shares.set(pool, spare / wanted);
  }

  endSharing(): void {
    this.#shares.clear();
  }

  #note({ hosts, tell }: UnseenNews): void {
    this.#unseenHosts = hosts;
    if (tell !== null) this.tell(tell);
  }

  #lastOf(pool: PoolId): HostReading | undefined {
    return Object.hasOwn(this.#pools, pool) ? this.#pools[pool] : undefined;
  }
}
