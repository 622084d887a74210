/**
 * The domains of a host that libvirt runs: seen through what libvirt says of all of them at once, driven through their balloons. Does the
 * I/O; what answers mean is the codec's, decisions are control's.
 */
import { ConnectionKeeper } from '../../connection/keeper.js';
import { unlessAborted } from '../../waiting/abort.js';
import { beatInSecond } from '../../control/beat.js';
import { Lanes } from '../../waiting/lanes.js';
import { NoticeQueue } from '../../adapter/notices.js';
import {
  asHypervisorError,
  growthSuperseded,
  impossibleTarget,
  noOverflow,
  superseded,
} from '../../adapter/port-errors.js';
import {
  CALL_TIME_LIMIT,
  type Clock,
  type GuestNotice,
  type Hypervisor,
  type ReadOutcome,
} from '../../control/ports.js';
import type { GuestId, Reading } from '../../control/reading.js';
import { SharedLook, type Seen } from '../../waiting/shared-look.js';
import type { HypervisorError } from '../../errors.js';
import { PortClaims, type InsideChoice, type Said } from '../../inside/index.js';
import { residentAs, type Sight } from '../../signals/followed-guest.js';
import { openHostMemory, type HostMemory } from '../../signals/host-memory.js';
import type { PlugSizes } from '../../signals/plugged.js';
import { millis, NO_PAGES, type GuestSize, type KiB, type Millis, type Pages } from '../../units.js';
import type { DomainStats, Virsh, VirshOptions } from '../../virsh/index.js';
import { actOn } from './act-on.js';
import { AllDomains, type AllStats } from './all-domains.js';
import { BalloonNow, HEARD_WITHIN, mayHaveMoved } from './balloon-now.js';
import { formatTarget, heldIn, readingOf, residentIn, setTargetWords, type DomainLook } from './codec.js';
import { KIND, type Domain } from './domain.js';
import {
  closed,
  forGuest,
  goneDomain,
  growthTooSlow,
  leftOut,
  lookTooSlow,
  noBalloon,
  noGrowth,
  noLibvirt,
  notTold,
  stillAsking,
  targetTooSlow,
} from './errors.js';
import { openInside } from './inside.js';
import { plugsOf } from './memory-devices.js';
import { isOutdated } from './plug-look.js';
import { plugInto } from './plugging.js';
import { PollingRounds } from './polling-rounds.js';
import { Roster } from './roster.js';
import { stoppedQemus } from './stopped-qemus.js';

export interface LibvirtHostOptions {
  readonly clock: Clock;
  /** The time of day, which libvirt's times are of. */
  readonly wall: () => Millis;
  /** What is connected to, for people: `qemu:///system`. */
  readonly uri: string;
  readonly connect: (listener: Pick<VirshOptions, 'onEvent' | 'onGap'>, signal: AbortSignal) => Promise<Virsh>;
  /** The folder that has the host's `proc` in it: `/`, unless someone tests. */
  readonly root: string;
  /** What must stay free on the host. */
  readonly reserve: Pages;
  /** Who is listened to in the guests. */
  readonly inside: InsideChoice;
  /**
   * Whether guests are asked for their statistics each second, and what was set before is put back in the end. Otherwise they are used as
   * far as somebody else has them asked for. Default true.
   */
  readonly switchesPolling?: boolean;
  /** Told what a person should know of: the connection lost and found. */
  readonly tell: (message: string) => void;
}

/** Opens the host. Nothing is asked of anybody before `watchGuests` is called. */
export function openLibvirtHost(options: LibvirtHostOptions): Hypervisor {
  return new LibvirtHost(options);
}

class LibvirtHost implements Hypervisor {
  readonly kind = KIND;
  readonly description: string;
  readonly #options: LibvirtHostOptions;
  readonly #notices = new NoticeQueue();
  readonly #roster: Roster;
  readonly #keeper: ConnectionKeeper<Virsh>;
  readonly #memory: HostMemory;
  readonly #all: AllDomains;
  readonly #looks: SharedLook<AllStats>;
  readonly #polling: PollingRounds;
  readonly #balloons = new BalloonNow();
  readonly #targets = new Lanes(superseded);
  readonly #growths = new Lanes(growthSuperseded);
  readonly #asked = new WeakMap<Domain, { readonly target: Pages; readonly at: Millis }>();
  readonly #ending = new AbortController();
  #keeping: Promise<void> | null = null;

  constructor(options: LibvirtHostOptions) {
    this.#options = options;
    const { clock, tell, root, reserve, uri, inside, switchesPolling = true } = options;
    const now = (): Millis => clock.now();
    this.description = `the virtual machines of this host, through libvirt at ${uri}`;
    this.#memory = openHostMemory({ root, pool: KIND, reserve, now });
    const claims = new PortClaims();
    this.#roster = new Roster({
      clock,
      tell,
      switchesPolling,
      openInside: (of) =>
        openInside({ ...of, ...inside, clock, tell, claims, connected: () => this.#connected(of.guest) }),
      put: (notice) => {
        this.#notices.put(notice);
      },
    });
    this.#polling = new PollingRounds({
      clock,
      beat: beatInSecond({ id: KIND, isSeenWithAll: true }),
      pollings: () => this.#roster.pollings,
      beginAnew: async (polling, until) => {
        const { state } = this.#keeper;
        if (!('why' in state)) await polling.beginAnew(state.connection, until);
      },
    });
    this.#all = new AllDomains({
      connected: () => this.#connected(),
      known: () => this.#roster.uuids,
      stopped: (uuids) => stoppedQemus(root, uuids),
      onGone: () => {
        this.#roster.refresh();
      },
    });
    this.#looks = new SharedLook({ look: (signal) => this.#lookAtAll(signal), now, tooSlow: lookTooSlow });
    this.#keeper = new ConnectionKeeper({
      to: `libvirt at ${uri}`,
      clock,
      connect: (signal) => this.#connect(signal),
      onConnected: (virsh) => this.#roster.follow(virsh),
      tell,
    });
  }

  #connect(signal: AbortSignal): Promise<Virsh> {
    const listener: Pick<VirshOptions, 'onEvent' | 'onGap'> = {
      onEvent: (event) => {
        this.#roster.hear(event);
      },
      onGap: () => {
        this.#roster.missedEvents();
      },
    };
    return this.#options.connect(listener, signal);
  }

  /** Ends when `signal` is aborted or the port is closed. May be called once at a time. */
  async *watchGuests(signal: AbortSignal): AsyncGenerator<GuestNotice> {
    const ends = [signal, this.#ending.signal];
    if (!ends.some(({ aborted }) => aborted)) this.#keeping ??= this.#keeper.keep(this.#ending.signal);
    yield* this.#notices.watch(this.#roster.guests, ends);
  }

  async read(guests: readonly GuestId[], report: (outcome: ReadOutcome) => void, signal: AbortSignal): Promise<void> {
    if (this.#ending.signal.aborted) throw closed();
    const seen = await this.#seen(signal);
    // After the look: one that was held up must not make what the host has old too.
    if (!(seen instanceof Error)) this.#roster.noteGiven(seen.sight);
    report({ kind: 'host-reading', host: this.#memory.read(this.#roster.untouched) });
    const readAndReport = async (guest: GuestId): Promise<void> => {
      report(await this.#readOne({ guest, seen, signal, report }));
    };
    await Promise.all(guests.map(readAndReport));
    if (seen instanceof Error) return;
    const { names } = this.#roster;
    if ([...seen.sight.keys()].some((name) => !names.has(name))) this.#roster.refresh();
  }

  async #seen(signal: AbortSignal): Promise<Seen<AllStats> | HypervisorError> {
    try {
      return await this.#looks.look(signal);
    } catch (error) {
      return asHypervisorError(error, { doing: 'looking at all domains' });
    }
  }

  #lookAtAll(signal: AbortSignal): Promise<AllStats> {
    this.#polling.follow();
    return this.#all.look(signal);
  }

  #connected(guest?: GuestId): Virsh {
    const kept = this.#keeper.state;
    if ('why' in kept) throw noLibvirt(kept.why, guest);
    return kept.connection;
  }

  async #readOne({ guest, seen, signal, report }: Look): Promise<ReadOutcome> {
    const domain = this.#roster.find(guest);
    if (domain === null) return { kind: 'reading-failed', guest, error: goneDomain(guest) };
    if (seen instanceof Error) {
      return { kind: 'reading-failed', guest, error: forGuest(seen, guest) };
    }
    const heard = seen.sight.get(domain.shape.name) ?? null;
    domain.noteAnswer(heard);
    if (heard === null) {
      const why = this.#all.whyLeftOut(domain.uuid);
      if (why !== null) return { kind: 'reading-failed', guest, error: leftOut(guest, why) };
      this.#roster.refresh();
      return { kind: 'reading-failed', guest, error: notTold(guest) };
    }
    const [grown, inside, actual] = await Promise.all([
      this.#growthOf(domain, heard, seen.at, signal),
      domain.inside.look(),
      this.#balloonNow(domain, heard, signal),
    ]);
    const stats = actual === null ? heard : { ...heard, current: actual };
    domain.noteStats(stats, inside.sources, seen.at);
    const reading = this.#readingOf(domain, { stats, grown, inside, report });
    if (domain.shape.balloon !== null && !reading.total.known) this.#roster.doubt(domain);
    return { kind: 'reading', guest, reading };
  }

  #readingOf(domain: Domain, { stats, grown, inside, report }: Looked): Reading {
    const { clock, wall } = this.#options;
    const { shape, followed } = domain;
    const asked = this.#asked.get(domain)?.target ?? null;
    const sight: Sight = {
      said: grown.plugged === null ? null : heldIn(stats, shape),
      asked,
      plugged: grown.plugged?.plugged ?? NO_PAGES,
      // A description is newer than the statistics.
      at: grown.at,
      residence: residentAs(residentIn(stats)),
    };
    return followed.read(sight, {
      onMoreUntouched: () => {
        report({ kind: 'host-reading', host: this.#memory.read(this.#roster.untouched) });
      },
      makeReading: ({ keeps, before }) => {
        const onItsWayTo = keeps === null ? null : this.#onItsWayTo(domain, keeps, clock.now());
        const keptSinceReset = followed.isAwaited ? keeps : null;
        const look: DomainLook = { stats, shape, keptSinceReset, asked, onItsWayTo, inside, before };
        const all = grown.plugged === undefined ? look : { ...look, plugged: grown.plugged };
        return readingOf(all, { at: clock.now(), wall: wall() });
      },
    });
  }

  /** Null: what libvirt has heard is good, or is all there is. */
  async #balloonNow(domain: Domain, { lastUpdate }: DomainStats, signal: AbortSignal): Promise<KiB | null> {
    const { state } = this.#keeper;
    // One that libvirt could not ask a moment ago would be waited for.
    if ('why' in state || lastUpdate === null) return null;
    if (!mayHaveMoved(domain, this.#asked.get(domain), this.#options.clock.now())) return null;
    return this.#balloons.ask(domain, state.connection, signal);
  }

  /** What it is asked to come down to from `kept`, where libvirt may not have heard yet that it has. */
  #onItsWayTo(domain: Domain, kept: Pages, now: Millis): Pages | null {
    const asked = this.#asked.get(domain);
    if (asked === undefined || asked.target >= kept) return null;
    const since = millis(now - HEARD_WITHIN);
    const { held } = domain.followed;
    const isFalling = (held.at(since) ?? NO_PAGES) > (held.at(now) ?? NO_PAGES);
    return asked.at >= since || isFalling ? asked.target : null;
  }

  /** `at`: when what it has was looked at. */
  async #growthOf(domain: Domain, { current }: DomainStats, at: Millis, signal: AbortSignal): Promise<Grown> {
    const { clock } = this.#options;
    const now = clock.now();
    if (!isOutdated(domain, plugsOf(domain.shape), current, now)) return { plugged: domain.plugged, at };
    const renewed = unlessAborted(this.#roster.renew(domain, signal), signal, lookTooSlow).catch(() => false);
    return (await renewed) ? { plugged: domain.plugged, at: now } : { plugged: null, at };
  }

  async setTarget(guest: GuestId, target: GuestSize, signal: AbortSignal): Promise<void> {
    const domain = this.#roster.find(guest);
    if (domain === null) throw goneDomain(guest);
    if (domain.shape.balloon === null) throw noBalloon(guest);
    const size = formatTarget(domain.followed.askFor(target));
    if (size === null) throw impossibleTarget(guest, target, 'KiB');
    const work = this.#targets.run(guest, () => this.#ask(guest, { domain, target, size, signal }));
    await unlessAborted(work, signal, () => targetTooSlow(guest, target));
  }

  async #ask(guest: GuestId, { domain, target, size, signal }: Asked): Promise<void> {
    try {
      // Not begun for whoever has given up while it waited, and may have asked for something else since.
      await actOn(this.#connected(guest), domain)(setTargetWords(domain.uuid, size), signal);
      this.#asked.set(domain, { target, at: this.#options.clock.now() });
    } catch (error) {
      throw asHypervisorError(error, { doing: `asking for ${size} KiB`, guest });
    }
  }

  async setGrowth(guest: GuestId, plugged: Pages, signal: AbortSignal): Promise<void> {
    const domain = this.#roster.find(guest);
    if (domain === null) throw goneDomain(guest);
    if (plugsOf(domain.shape).length === 0) throw noGrowth(guest);
    const renew = (): Promise<boolean> => this.#roster.renew(domain, signal);
    const act = (): Virsh['act'] => actOn(this.#connected(guest), domain);
    const work = this.#growths.run(guest, () => plugInto({ domain, plugged, renew, act, signal }));
    await unlessAborted(work, signal, () => growthTooSlow(guest, plugged));
  }

  unreached(): readonly string[] {
    const { state } = this.#keeper;
    const why = 'why' in state ? state.why : this.#roster.whyUntold;
    return why === null ? [] : [`libvirt at ${this.#options.uri}: ${why}`];
  }

  /** Whether libvirt is about to tell which domains there are. Where it cannot be connected to nobody waits for it. */
  get isMeeting(): boolean {
    return this.#keeper.isBeginning || ('connection' in this.#keeper.state && this.#roster.whyUntold !== null);
  }

  shrinkOverflow(guest: GuestId): Promise<string> {
    return Promise.reject(noOverflow(guest, 'its host'));
  }

  /**
   * Waits up to 5 s for requests on their way, puts back the polling of statistics and lets go of everything. Targets stay as they
   * are. Rejects with `ETIMEDOUT` when a request does not end: then nobody knows which target it leaves.
   */
  async close(): Promise<void> {
    const { clock } = this.#options;
    try {
      const settled = Promise.all([this.#targets.settled(), this.#growths.settled()]);
      const isBusy = this.#targets.isBusy || this.#growths.isBusy;
      if (isBusy) await unlessAborted(settled, clock.timeLimit(CALL_TIME_LIMIT), stillAsking);
    } finally {
      // What is not put back in time stays switched on, which costs a guest next to nothing.
      await unlessAborted(
        this.#roster.leave(clock.timeLimit(INSIDE_LIMIT)),
        clock.timeLimit(LEAVING_LIMIT),
        closed,
      ).catch(() => undefined);
      this.#ending.abort();
      this.#polling.end();
      await this.#keeping;
      this.#memory.close();
    }
  }
}

/** What is known of memory that is plugged in; undefined: nothing can be. Null: it should be known, and is not. */
interface Grown {
  readonly plugged: PlugSizes | null | undefined;
  readonly at: Millis;
}

/** One look at one of the guests that are looked at together. */
interface Look {
  readonly guest: GuestId;
  readonly seen: Seen<AllStats> | HypervisorError;
  readonly signal: AbortSignal;
  readonly report: (outcome: ReadOutcome) => void;
}

/** A look at one of them that has ended. */
interface Looked {
  readonly stats: DomainStats;
  readonly grown: Grown;
  readonly inside: Said;
  readonly report: (outcome: ReadOutcome) => void;
}

interface Asked {
  readonly domain: Domain;
  readonly target: GuestSize;
  /** The same, as libvirt takes it. */
  readonly size: string;
  readonly signal: AbortSignal;
}

/** For closing what is open inside of guests, at the end. */
const INSIDE_LIMIT = millis(1_000);
/** For putting back what was changed, at the end. */
const LEAVING_LIMIT = millis(2_000);
