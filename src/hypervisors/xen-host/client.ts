/**
 * All domains of a Xen host, seen and driven from dom0: their real memory by Xen's own word, their need by what they report in
 * xenstore, their targets through xenstore. Does the I/O; texts are the codec's, decisions are control's.
 */
import type {
  Capabilities,
  Clock,
  GuestDescription,
  GuestNotice,
  Hypervisor,
  ReadOutcome,
} from '../../control/ports.js';
import type { GuestId } from '../../control/reading.js';
import { knownAt } from '../../control/signal.js';
import { kib, kibToPagesDown, pagesToKib, type GuestSize, type Millis, type Pages } from '../../units.js';
import { XenstoreError, type Xenstore } from '../../xenstore/index.js';
import { formatTarget, homeOf, NODES } from './codec.js';
import { Connection } from './connection.js';
import { createDom0Reader, type Dom0Options, type Dom0Reader } from './dom0.js';
import { readingOf, type DomainRecord } from './domain-record.js';
import { asHypervisorError, goneDomain, impossibleTarget, noOverflow, noStore, onlyWatched } from './errors.js';
import { NoticeQueue } from './notices.js';
import { adminLimits, DOM0, KIND, Roster } from './roster.js';
import type { HostSight, SightSource } from './sight.js';
import type { LimitSetter } from './xenctrl.js';

export interface XenHostOptions {
  readonly clock: Clock;
  /** Connects to xenstored. It is called again whenever the connection is lost. */
  readonly connect: (signal: AbortSignal) => Promise<Xenstore>;
  /** Who sees the host's memory. It is closed here. */
  readonly sight: SightSource;
  /** Who sets Xen's own limits; null: nobody can, and a domain's limit is the most that it may have. */
  readonly limits: LimitSetter | null;
  /** What must stay free on the host. */
  readonly reserve: Pages;
  readonly dom0: Dom0Options;
  /** Told what a person should know of: the connection lost and found. */
  readonly tell: (message: string) => void;
}

/** Opens the host. Nothing is asked of anybody before `watchGuests` is called. */
export function openXenHost(options: XenHostOptions): Hypervisor {
  return new XenHost(options);
}

class XenHost implements Hypervisor {
  readonly kind = KIND;
  readonly description: string;
  readonly #options: XenHostOptions;
  readonly #notices = new NoticeQueue();
  readonly #roster: Roster;
  readonly #connection: Connection;
  readonly #dom0: Dom0Reader;
  readonly #ending = new AbortController();
  #keeping: Promise<void> | null = null;

  constructor(options: XenHostOptions) {
    this.#options = options;
    this.#dom0 = createDom0Reader(options.dom0, () => options.clock.now());
    this.description = `the domains of this Xen host, seen through ${options.sight.description} and driven through xenstore`;
    this.#roster = new Roster({
      clock: options.clock,
      put: (notice) => {
        this.#notices.put(notice);
      },
      describe: (record) => this.#describe(record),
    });
    this.#connection = new Connection({
      connect: options.connect,
      clock: options.clock,
      onConnected: (store) => this.#roster.follow(store),
      tell: options.tell,
    });
  }

  #describe(record: DomainRecord): Omit<GuestDescription, 'id' | 'name'> {
    if (record.domid !== DOM0) return { capabilities: GUEST, pool: KIND, ...adminLimits(record) };
    const { isDriven, floor } = this.#options.dom0;
    return { capabilities: isDriven ? GUEST : WATCHED, pool: KIND, limits: { floor, ceiling: null } };
  }

  /** Ends when `signal` is aborted or the port is closed. May be called once at a time. */
  async *watchGuests(signal: AbortSignal): AsyncGenerator<GuestNotice> {
    this.#keeping ??= this.#connection.keep(this.#ending.signal);
    const ends = new AbortController();
    const end = (): void => {
      ends.abort();
    };
    for (const source of [signal, this.#ending.signal]) {
      source.addEventListener('abort', end, { once: true });
      if (source.aborted) end();
    }
    yield* this.#notices.take(ends.signal);
  }

  async read(guests: readonly GuestId[], report: (outcome: ReadOutcome) => void, signal: AbortSignal): Promise<void> {
    const { sight, clock, reserve } = this.#options;
    // What is seen was true after this, and is no older than this says.
    const at = clock.now();
    const seen = await sight.look(signal);
    report({
      kind: 'host-reading',
      host: {
        pool: KIND,
        at,
        total: knownAt(kibToPagesDown(seen.total), at),
        free: knownAt(kibToPagesDown(seen.free), at),
        reserve,
      },
    });
    this.#roster.tellSilence(clock.now());
    const domains = new Map(seen.domains.map((domain) => [domain.domid, domain]));
    for (const guest of guests) report(this.#readOne(guest, domains, at));
  }

  #readOne(guest: GuestId, domains: ReadonlyMap<number, HostSight['domains'][number]>, at: Millis): ReadOutcome {
    const record = this.#roster.find(guest);
    const domain = record === null ? undefined : domains.get(record.domid);
    if (record === null || domain === undefined || domain.isDying) {
      const error = goneDomain(guest, domain === undefined ? 'Xen does not know it' : 'it is being taken down');
      return { kind: 'reading-failed', guest, error };
    }
    const isMovable = this.#options.limits !== null && record.staticMax.known;
    const seen = isMovable ? { ...domain, maximum: null } : domain;
    const reading = record.domid === DOM0 ? this.#dom0.read(record, domain, at) : readingOf(record, seen, at);
    return { kind: 'reading', guest, reading };
  }

  /** In a transaction, so that a domain that was just destroyed is not given a folder of its own again. */
  async setTarget(guest: GuestId, target: GuestSize, signal: AbortSignal): Promise<void> {
    const record = this.#roster.find(guest);
    if (record === null) throw goneDomain(guest, 'it has left xenstore');
    if (record.domid === DOM0 && !this.#options.dom0.isDriven) throw onlyWatched(guest);
    const text = formatTarget(target);
    if (text === null) throw impossibleTarget(guest, target);
    const connection = this.#connection.state;
    if ('why' in connection) throw noStore(guest, connection.why);
    const path = `${homeOf(record.domid)}/${NODES.target}`;
    try {
      await this.#moveLimit(record.domid, target);
      await connection.store.transaction(
        async (store) => {
          // dom0 has no such node before somebody sets it.
          if (record.domid !== DOM0) await store.read(path);
          await store.write(path, text);
        },
        { signal },
      );
    } catch (error) {
      if (error instanceof XenstoreError && error.xenstoreCode === 'ENOENT') {
        throw goneDomain(guest, `there is no ${path}`);
      }
      throw asHypervisorError(guest, `setting ${path} to ${text} KiB`, error);
    }
  }

  /** Before the target: a guest must be able to reach it, and unable to pass it. dom0 is trusted with its own. */
  async #moveLimit(domid: number, target: GuestSize): Promise<void> {
    if (domid === DOM0) return;
    await this.#options.limits?.set(domid, kib(pagesToKib(target) + LIMIT_SLACK));
  }

  shrinkOverflow(guest: GuestId): Promise<string> {
    return Promise.reject(noOverflow(guest));
  }

  /** Ends the connection and lets go of everything. Targets stay as they are. */
  async close(): Promise<void> {
    this.#ending.abort();
    await this.#keeping;
    this.#dom0.close();
    await this.#options.sight.close();
    this.#options.limits?.close();
  }
}

/** As Xen's toolstack leaves above a target (`LIBXL_MAXMEM_CONSTANT`), in KiB. */
const LIMIT_SLACK = 1024;

const GUEST: Capabilities = { canSetTarget: true, hasOverflowTier: false, isSimulated: false };
const WATCHED: Capabilities = { ...GUEST, canSetTarget: false };
