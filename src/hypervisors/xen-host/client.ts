/**
 * All domains of a Xen host, seen and driven from dom0: their real memory by Xen's own word, their need by what they report in
 * xenstore, their targets through xenstore. Does the I/O; texts are the codec's, decisions are control's.
 */
import { ConnectionKeeper } from '../../connection/keeper.js';
import { unlessAborted } from '../../waiting/abort.js';
import { Lanes } from '../../waiting/lanes.js';
import { NoticeQueue } from '../../adapter/notices.js';
import { asHypervisorError, noOverflow } from '../../adapter/port-errors.js';
import {
  CALL_TIME_LIMIT,
  type Capabilities,
  type Clock,
  type GuestDescription,
  type GuestNotice,
  type Hypervisor,
  type ReadOutcome,
} from '../../control/ports.js';
import type { GuestId } from '../../control/reading.js';
import { SharedLook } from '../../waiting/shared-look.js';
import { knownAt } from '../../control/signal.js';
import {
  addPages,
  guestSize,
  kib,
  kibToPagesDown,
  pagesToKib,
  subtractToZero,
  type GuestSize,
  type Millis,
  type Pages,
} from '../../units.js';
import { XenstoreError, type Xenstore } from '../../xenstore/index.js';
import { attend, type AttendedStore } from './attended-store.js';
import { formatTarget, homeOf, NODES, parseSize } from './codec.js';
import { createDom0Reader, watchDom0, type Dom0Options, type Dom0Reader } from './dom0.js';
import { readingOf, type DomainRecord } from './domain-record.js';
import {
  closed,
  goneDomain,
  impossibleTarget,
  lookTooSlow,
  noStore,
  notSeenSince,
  onlyWatched,
  perhapsSet,
  stillAsking,
  superseded,
  targetTooSlow,
} from './errors.js';
import { adminLimits, DOM0, KIND, Roster } from './roster.js';
import type { DomainSight, HostSight, SightSource } from './sight.js';
import { TakenBack, type Standing } from './taken-back.js';
import { Uncounted } from './uncounted.js';
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
  /** Told what a person should know of: the connection lost and found, and what cannot be read over it. */
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
  readonly #keeper: ConnectionKeeper<AttendedStore>;
  readonly #dom0: Dom0Reader;
  readonly #looks: SharedLook<HostSight>;
  readonly #takenBack = new TakenBack();
  readonly #uncounted = new Uncounted();
  readonly #targets = new Lanes(superseded);
  readonly #ending = new AbortController();
  #keeping: Promise<void> | null = null;
  /** The newest connection over which all domains were known before a look that has ended. */
  #seenOver: AttendedStore | null = null;

  constructor(options: XenHostOptions) {
    this.#options = options;
    this.#dom0 = createDom0Reader(options.dom0, () => options.clock.now());
    this.#looks = new SharedLook({
      look: (signal) => options.sight.look(signal),
      now: () => options.clock.now(),
      tooSlow: () => lookTooSlow(options.sight),
    });
    this.description = `the domains of this Xen host, seen through ${options.sight.description} and driven through xenstore`;
    this.#roster = new Roster({
      clock: options.clock,
      put: (notice) => {
        this.#notices.put(notice);
      },
      describe: (record) => this.#describe(record),
      tell: options.tell,
    });
    this.#keeper = new ConnectionKeeper({
      to: 'xenstored',
      connect: async (signal) => attend(await options.connect(signal), options.clock),
      clock: options.clock,
      onConnected: (store) => this.#roster.follow(store),
      tell: options.tell,
    });
  }

  #describe(record: DomainRecord): Omit<GuestDescription, 'id' | 'name'> {
    const shared = { pool: KIND, isSeenWithAll: true };
    if (record.domid !== DOM0) return { capabilities: GUEST, ...shared, ...adminLimits(record) };
    const { isDriven, floor } = this.#options.dom0;
    return { capabilities: isDriven ? GUEST : WATCHED, ...shared, floorFirm: floor };
  }

  /** Ends when `signal` is aborted or the port is closed. May be called once at a time. */
  async *watchGuests(signal: AbortSignal): AsyncGenerator<GuestNotice> {
    const ends = [signal, this.#ending.signal];
    if (!ends.some(({ aborted }) => aborted)) this.#keeping ??= this.#keep();
    yield* this.#notices.watch(this.#roster.guests, ends);
  }

  /** Until this is closed. */
  async #keep(): Promise<void> {
    const { clock, dom0 } = this.#options;
    const sensor = watchDom0(dom0, clock, (alarm) => {
      const found = this.#roster.guests.find(({ id }) => this.#roster.find(id)?.domid === DOM0);
      if (found !== undefined) this.#notices.put({ kind: 'guest-alarm', guest: found.id, alarm });
    });
    await this.#keeper.keep(this.#ending.signal);
    await sensor?.close();
  }

  async read(guests: readonly GuestId[], report: (outcome: ReadOutcome) => void, signal: AbortSignal): Promise<void> {
    if (this.#ending.signal.aborted) throw closed();
    // Before the look, which may hang with xenstored.
    if ('connection' in this.#keeper.state) this.#keeper.state.connection.ping();
    const { at, sight } = await this.#looks.look(signal);
    if ('connection' in this.#keeper.state && this.#roster.isKnownAt(at))
      this.#seenOver = this.#keeper.state.connection;
    const domains = this.#uncounted.without(sight.domains, this.#askedNow());
    const free = subtractToZero(
      kibToPagesDown(sight.free),
      this.#takenBack.of(this.#standings(domains), new Set(guests)),
    );
    report({
      kind: 'host-reading',
      host: {
        pool: KIND,
        at,
        total: knownAt(kibToPagesDown(sight.total), at),
        free: knownAt(free, at),
        reserve: this.#options.reserve,
        ifSlow: this.#options.sight.ifSlow,
      },
    });
    if ('connection' in this.#keeper.state) this.#roster.tellSilence(this.#options.clock.now());
    for (const guest of guests) report(this.#readOne(guest, domains, at));
  }

  /** What each domain was last told to hold, by its number; null = nobody knows. */
  #askedNow(): (domid: number) => Pages | null {
    const records = this.#roster.guests.flatMap(({ id }) => this.#roster.find(id) ?? []);
    const asked = new Map(records.map((record) => [record.domid, record.asked.known ? record.asked.value : null]));
    return (domid) => asked.get(domid) ?? null;
  }

  /** Of all guests that are there; a dom0 that is only watched is trusted with its own. */
  #standings(domains: ReadonlyMap<number, DomainSight>): readonly Standing[] {
    return this.#roster.guests.flatMap(({ id }) => {
      const record = this.#roster.find(id);
      const domain = record === null ? undefined : domains.get(record.domid);
      if (record === null || domain === undefined) return [];
      if (record.domid === DOM0 && !this.#options.dom0.isDriven) return [];
      return [standingOf(id, record, domain)];
    });
  }

  #readOne(guest: GuestId, domains: ReadonlyMap<number, DomainSight>, at: Millis): ReadOutcome {
    const record = this.#roster.find(guest);
    const domain = record === null ? undefined : domains.get(record.domid);
    if (record === null || domain === undefined || domain.isDying) {
      const error = goneDomain(guest, domain === undefined ? 'Xen does not know it' : 'it is being taken down');
      return { kind: 'reading-failed', guest, error };
    }
    const isMovable = this.#options.limits !== null && record.staticMax.known;
    const seen = isMovable ? { ...domain, maximum: null } : domain;
    const reading = record.domid === DOM0 ? this.#dom0.read(record, domain, at) : readingOf(record, seen, at);
    this.#takenBack.tell(standingOf(guest, record, domain));
    return { kind: 'reading', guest, reading };
  }

  async setTarget(guest: GuestId, target: GuestSize, signal: AbortSignal): Promise<void> {
    const record = this.#roster.find(guest);
    if (record === null) throw goneDomain(guest, 'it has left xenstore');
    if (record.domid === DOM0 && !this.#options.dom0.isDriven) throw onlyWatched(guest);
    const text = formatTarget(target);
    if (text === null) throw impossibleTarget(guest, target);
    const seenOver = this.#seenOver;
    const work = this.#targets.run(guest, () => this.#ask(guest, record.domid, { target, text, seenOver, signal }));
    await unlessAborted(work, signal, () => targetTooSlow(guest, target));
  }

  /** In a transaction, so that a domain that was just destroyed is not given a folder of its own again. */
  async #ask(guest: GuestId, domid: number, { target, text, seenOver, signal }: Asked): Promise<void> {
    // Whoever has given up while it waited may have asked for something else since.
    if (signal.aborted) throw targetTooSlow(guest, target);
    const kept = this.#keeper.state;
    if ('why' in kept) throw noStore(guest, kept.why);
    if (kept.connection !== seenOver && this.#takenBack.isGrowth(guest, target)) throw notSeenSince(guest);
    this.#takenBack.ask(guest, target);
    const path = `${homeOf(domid)}/${NODES.target}`;
    const attempt: Attempt = { before: null, isWritten: false };
    try {
      await kept.connection.transaction(
        async (store) => {
          attempt.isWritten = false;
          // dom0 has no such node before somebody sets it.
          const before = domid === DOM0 ? null : await store.read(path);
          await this.#moveLimit(guest, domid, target);
          attempt.before = before?.toString('latin1') ?? null;
          await this.#makeReady(guest, domid, target);
          await store.write(path, text);
          attempt.isWritten = true;
        },
        { signal },
      );
    } catch (error) {
      if (error instanceof XenstoreError && error.xenstoreCode === 'ENOENT') {
        throw goneDomain(guest, `there is no ${path}`);
      }
      const doing = `setting ${path} to ${text} KiB`;
      if (attempt.isWritten && mayHaveHappened(error)) throw perhapsSet(guest, doing, error);
      if (attempt.before !== null)
        await this.#moveLimitBack(guest, domid, attempt.before, { store: kept.connection, signal });
      throw asHypervisorError(error, { doing, guest });
    }
  }

  /**
   * The target was not set for certain, and Xen's limit was moved already: the guest must be able to hold what the target that stands
   * says, and no more. `before` is what stood there; somebody else may have changed it since.
   */
  async #moveLimitBack(guest: GuestId, domid: number, before: string, { store, signal }: Over): Promise<void> {
    const path = `${homeOf(domid)}/${NODES.target}`;
    const text = await store.readText(path, { signal }).catch(() => before);
    const standing = parseSize(path, text);
    const doing = `setting Xen’s limit back to what fits ${path}`;
    if (!standing.known) throw perhapsSet(guest, doing, standing.detail);
    try {
      await this.#moveLimit(guest, domid, guestSize(standing.value));
    } catch (error) {
      throw perhapsSet(guest, doing, error);
    }
    this.#takenBack.ask(guest, standing.value);
  }

  /**
   * Before the target: a guest must be able to reach it, and unable to pass it. dom0 is trusted with its own. It is waited for
   * without a time limit: it cannot be stopped, and must not land after that of a newer target.
   */
  async #moveLimit(guest: GuestId, domid: number, target: GuestSize): Promise<void> {
    // Where nobody says what else it could have, Xen's limit does: it must not go down with the target.
    const record = this.#roster.find(guest);
    if (domid === DOM0 || record?.staticMax.known !== true) return;
    await this.#options.limits?.set(domid, kib(pagesToKib(target) + pagesToKib(record.videoRam) + LIMIT_SLACK));
  }

  /** Before the target too, and within the limit: whoever hears of it may touch all of it at once. */
  async #makeReady(guest: GuestId, domid: number, target: GuestSize): Promise<void> {
    const record = this.#roster.find(guest);
    if (domid === DOM0 || record?.staticMax.known !== true) return;
    await this.#options.limits?.makeReady(domid, addPages(this.#uncounted.with(domid, target), record.videoRam));
  }

  get isMeeting(): boolean {
    return this.#roster.isMeeting;
  }

  unreached(): readonly string[] {
    const { state } = this.#keeper;
    return 'why' in state
      ? [`the domains of this host, without a connection to xenstored: ${state.why}`]
      : this.#roster.unreached;
  }

  shrinkOverflow(guest: GuestId): Promise<string> {
    return Promise.reject(noOverflow(guest, 'dom0'));
  }

  /**
   * Waits up to 5 s for targets on their way, ends the connection and lets go of everything. Targets stay as they are. Rejects with
   * `ETIMEDOUT` when a request does not end: then nobody knows which target it leaves.
   */
  async close(): Promise<void> {
    const { clock, sight, limits } = this.#options;
    try {
      if (this.#targets.isBusy)
        await unlessAborted(this.#targets.settled(), clock.timeLimit(CALL_TIME_LIMIT), stillAsking);
    } finally {
      this.#ending.abort();
      await this.#keeping;
      this.#dom0.close();
      limits?.close();
      await sight.close();
    }
  }
}

const standingOf = (guest: GuestId, { asked }: DomainRecord, { held }: DomainSight): Standing => ({
  guest,
  held: kibToPagesDown(held),
  asked: asked.known ? asked.value : null,
});

interface Asked {
  readonly target: GuestSize;
  /** The same, as it is written. */
  readonly text: string;
  /** Over which connection the guests were known at the look that it follows from; null: none. */
  readonly seenOver: Xenstore | null;
  readonly signal: AbortSignal;
}

/** How far a target has come. */
interface Attempt {
  /** What stood in its place before Xen's limit was moved; null: the limit was not moved. */
  before: string | null;
  /** xenstored took it, and it counts as soon as the transaction is over. */
  isWritten: boolean;
}

interface Over {
  readonly store: Xenstore;
  readonly signal: AbortSignal;
}

/** Whether a transaction may have come about that ended with this: nobody knows it of an answer that cannot be understood. */
const mayHaveHappened = (error: unknown): boolean =>
  !(error instanceof XenstoreError) || error.mayHaveHappened || error.xenstoreCode === 'EPROTO';

/** As Xen's toolstack leaves above a target (`LIBXL_MAXMEM_CONSTANT`), in KiB. */
const LIMIT_SLACK = 1024;

const GUEST: Capabilities = { canSetTarget: true, hasOverflowTier: false, isSimulated: false };
const WATCHED: Capabilities = { ...GUEST, canSetTarget: false };
