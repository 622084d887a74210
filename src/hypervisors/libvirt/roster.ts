/**
 * Which domains run: what libvirt lists, each met once in every run of it, and again when an event or its silence says that it may be
 * another now. While there is no connection those that were there are taken to be there still. It does not know what is asked of them.
 */
import { distinctGuestId } from '../../adapter/guest-name.js';
import type { Clock, GuestDescription, GuestNotice } from '../../control/ports.js';
import type { GuestId } from '../../control/reading.js';
import { beginsAnew, type Alarm } from '../../control/alarm.js';
import { errorText } from '../../errors.js';
import type { Inside } from '../../inside/index.js';
import { keptNews, keptNoMore } from '../../signals/kept-news.js';
import { addMillis, addPages, millis, NO_PAGES, type Millis, type Pages } from '../../units.js';
import {
  LIST_DOMAINS,
  parseDomainList,
  parseDomainXml,
  VirshError,
  type DomainEvent,
  type DomainShape,
  type DomainStats,
  type Virsh,
} from '../../virsh/index.js';
import { actOn } from './act-on.js';
import { Domain, KIND } from './domain.js';
import type { InsideOptions } from './inside.js';
import { StatsPolling } from './stats-polling.js';

export interface RosterOptions {
  readonly clock: Clock;
  readonly put: (notice: GuestNotice) => void;
  /** Whether guests are asked for their statistics, whatever was set before. */
  readonly switchesPolling: boolean;
  /** Begins to listen to whoever is inside of a domain. */
  readonly openInside: (options: Pick<InsideOptions, 'guest' | 'shape' | 'onAlarm'>) => Inside;
  /** Told, in words for the log, what a person should know of. */
  readonly tell: (message: string) => void;
}

/** Between the start of listening and the first event that is heard lies no more: virsh says nothing when it is ready. */
const LISTENING_AFTER = millis(1_000);
/** For all that is asked in one go about domains. */
const REFRESH_LIMIT = millis(30_000);
/** For closing what is open inside of a domain that has gone. */
const GOING_LIMIT = millis(1_000);
const RETRY_AFTER = millis(2_000);
/** A domain that says nothing is looked at again as often: somebody may have switched its statistics off. */
const DOUBT_AFTER = millis(30_000);

export class Roster {
  readonly #options: RosterOptions;
  /** By their UUIDs. */
  readonly #domains = new Map<string, Domain>();
  readonly #ids = new Map<GuestId, Domain>();
  /** Names of domains that may be others now. */
  readonly #doubted = new Set<string>();
  #virsh: Virsh | null = null;
  /** All that are there are known over the connection that there is. */
  #hasListed = false;
  #isWanted = false;
  #isRefreshing = false;
  /** Ends what waits for the next question over the connection that there is. */
  #pauses = new AbortController();

  constructor(options: RosterOptions) {
    this.#options = options;
  }

  /** The domain of that id; null when it is gone. */
  find(guest: GuestId): Domain | null {
    return this.#ids.get(guest) ?? null;
  }

  /** All that are known now, as they were last told. */
  get guests(): readonly GuestDescription[] {
    return [...this.#domains.values()].map(({ told }) => told);
  }

  /** Why there may be others; null: all are known. To be asked only while there is a connection. */
  get whyUntold(): string | null {
    return this.#hasListed ? null : 'it has not told all of its domains yet';
  }

  get uuids(): readonly string[] {
    return [...this.#domains.keys()];
  }

  get pollings(): readonly StatsPolling[] {
    return [...this.#domains.values()].map(({ polling }) => polling);
  }

  /** What all of them hold and their host still counts as free. */
  get untouched(): Pages {
    let sum = NO_PAGES;
    for (const { untouched } of this.#domains.values()) sum = addPages(sum, untouched);
    return sum;
  }

  /** By the statistics of all. */
  noteGiven(stats: ReadonlyMap<string, DomainStats>): void {
    for (const domain of this.#domains.values()) {
      const said = stats.get(domain.shape.name);
      if (said !== undefined) domain.noteGiven(said);
    }
  }

  /** The names of all that are known now. */
  get names(): ReadonlySet<string> {
    return new Set([...this.#domains.values()].map(({ shape }) => shape.name));
  }

  /** Gets to know all domains over a new connection. Rejects with `VirshError`. */
  async follow(virsh: Virsh): Promise<void> {
    this.#virsh = virsh;
    this.#hasListed = false;
    const pauses = new AbortController();
    this.#pauses = pauses;
    void virsh.closed.then(() => {
      pauses.abort();
      if (this.#virsh === virsh) this.#virsh = null;
    });
    // Nobody knows what happened meanwhile.
    for (const { shape, inside } of this.#domains.values()) {
      this.#doubted.add(shape.name);
      inside.forget();
    }
    await this.#refreshOnce(virsh);
    this.#hasListed = true;
    this.#later(LISTENING_AFTER);
  }

  /** An event came. */
  hear(event: DomainEvent): void {
    const { kind, domain } = event;
    const known = [...this.#domains.values()].find(({ shape }) => shape.name === domain);
    if (endsInside(event)) known?.inside.forget();
    if (kind === 'lifecycle' || kind === 'devices') {
      this.#doubted.add(domain);
      this.refresh();
    }
    if (known === undefined) return;
    if (kind === 'restarted') this.#beginAnew(known);
    if (kind === 'moved') known.followed.hear(this.#options.clock.now());
  }

  /** The same domain, with a kernel that knows nothing of what the one before needed, in the memory that was left to that. */
  #beginAnew(domain: Domain): void {
    const now = this.#options.clock.now();
    // What its QEMU has of the host's memory is in the statistics, with which the next look begins.
    domain.followed.beginAnew(now, null);
    this.#options.put({ kind: 'guest-alarm', guest: domain.id, alarm: beginsAnew(now) });
  }

  /** Events may have been missed until now. */
  missedEvents(): void {
    this.refresh();
    this.#later(LISTENING_AFTER);
  }

  /** This domain does not say what it should; it is met again, if that was not done just now. */
  doubt({ shape, metAt }: Domain): void {
    if (this.#options.clock.now() - metAt < DOUBT_AFTER) return;
    this.#doubted.add(shape.name);
    this.refresh();
  }

  /** Looks which domains there are, soon; not twice at once. Never throws. */
  refresh(): void {
    this.#isWanted = true;
    if (this.#isRefreshing) return;
    this.#isRefreshing = true;
    void this.#refreshWhileWanted().finally(() => (this.#isRefreshing = false));
  }

  async #refreshWhileWanted(): Promise<void> {
    while (this.#isWanted && this.#virsh !== null) {
      this.#isWanted = false;
      try {
        await this.#refreshOnce(this.#virsh);
      } catch (error) {
        // A connection that is lost is told of, and made again, elsewhere.
        if (!(error instanceof VirshError && error.virshCode === 'EUNAVAILABLE')) this.#trouble(error);
        return;
      }
    }
  }

  #trouble(error: unknown): void {
    this.#options.tell(`libvirt did not say which domains run: ${errorText(error)}`);
    this.#later(RETRY_AFTER);
  }

  #later(pause: Millis): void {
    const { clock } = this.#options;
    const { signal } = this.#pauses;
    void clock.sleepUntil(addMillis(clock.now(), pause), signal).then(() => {
      if (!signal.aborted) this.refresh();
    });
  }

  async #refreshOnce(virsh: Virsh): Promise<void> {
    const limit = this.#options.clock.timeLimit(REFRESH_LIMIT);
    const listed = parseDomainList(await virsh.look(LIST_DOMAINS, limit));
    const there = new Set(listed.map(({ uuid }) => uuid));
    for (const domain of [...this.#domains.values()]) if (!there.has(domain.uuid)) this.#left(domain);
    const toMeet = listed.filter(({ uuid, name }) => this.#doubted.has(name) || !this.#domains.has(uuid));
    this.#doubted.clear();
    await Promise.all(toMeet.map(({ uuid }) => this.#meet(virsh, uuid, limit)));
  }

  /**
   * Reads its description anew: what is plugged into it is said nowhere else. False: it could not be read, or is of another run of the
   * domain. Never rejects.
   */
  async renew(domain: Domain, signal: AbortSignal): Promise<boolean> {
    const virsh = this.#virsh;
    const { growthsAsked } = domain;
    if (virsh === null) return false;
    try {
      const shape = parseDomainXml(await virsh.look(describeWords(domain.uuid), signal));
      if (this.#domains.get(domain.uuid) !== domain) return false;
      if (!domain.isRunOf(shape)) {
        this.#doubted.add(shape.name);
        this.refresh();
        return false;
      }
      this.#changed(domain, shape);
      domain.noteGrowthsDescribed(growthsAsked);
      return true;
    } catch {
      // A connection that is lost is told of elsewhere, and a look that failed is made again in the next round.
      return false;
    }
  }

  async #meet(virsh: Virsh, uuid: string, limit: AbortSignal): Promise<void> {
    try {
      const shape = parseDomainXml(await virsh.look(describeWords(uuid), limit));
      this.#take(virsh, uuid, shape);
    } catch (error) {
      // Gone between the two questions.
      if (error instanceof VirshError && error.virshCode === 'EGONE') return;
      if (error instanceof VirshError && error.virshCode === 'EUNAVAILABLE') throw error;
      this.#options.tell(`the domain ${uuid} cannot be seen: ${errorText(error)}`);
      // It may be another run, with other channels: that stays to be found out with the next listing, half a minute from now at most.
      const name = this.#domains.get(uuid)?.shape.name;
      if (name !== undefined) this.#doubted.add(name);
    }
  }

  #take(virsh: Virsh, uuid: string, shape: DomainShape): void {
    const before = this.#domains.get(uuid);
    const isSameRun = before !== undefined && before.isRunOf(shape);
    if (before !== undefined && !isSameRun) this.#left(before);
    const domain = isSameRun ? this.#changed(before, shape) : this.#came(uuid, shape);
    domain.noteMet(this.#options.clock.now());
    if (shape.balloon !== null) domain.polling.switchOn(virsh, shape.balloon.statsPeriod);
  }

  #came(uuid: string, shape: DomainShape): Domain {
    // Two names that differ only in characters which are not kept are told apart by a UUID.
    const id = distinctGuestId({ kind: KIND, name: shape.name, mark: uuid }, (taken) => this.#ids.has(taken));
    const { put, tell, clock, switchesPolling } = this.#options;
    const onAlarm = (alarm: Alarm): void => {
      if (this.#ids.get(id)?.uuid === uuid) put({ kind: 'guest-alarm', guest: id, alarm });
    };
    const inside = this.#options.openInside({ guest: id, shape, onAlarm });
    const polling = new StatsPolling({ uuid, id, clock, tell, isLeftAlone: !switchesPolling });
    const domain = new Domain({ uuid, id, shape, polling, inside, now: clock.now() });
    this.#domains.set(uuid, domain);
    this.#ids.set(id, domain);
    put({ kind: 'guest-came', guest: domain.told });
    if (shape.keptBy !== null) this.#tellKept(domain);
    return domain;
  }

  #changed(domain: Domain, shape: DomainShape): Domain {
    const wasKept = domain.shape.keptBy !== null;
    const changed = domain.noteShape(shape, this.#options.clock.now());
    if (changed !== null) this.#options.put({ kind: 'guest-changed', guest: changed });
    if (wasKept !== (shape.keptBy !== null)) this.#tellKept(domain);
    return domain;
  }

  /** Whether its QEMU keeps what the guest gives up is news. Nothing would be taken from a domain without a balloon. */
  #tellKept({ id, shape: { balloon, keptBy } }: Domain): void {
    if (balloon === null) return;
    this.#options.tell(keptBy === null ? keptNoMore(id) : keptNews(id, `its description has ${keptBy}`));
  }

  #left(domain: Domain): void {
    this.#domains.delete(domain.uuid);
    this.#ids.delete(domain.id);
    // Over libvirt it is asked by its UUID, and another run of it may be there by now.
    domain.inside.forget();
    void domain.inside.close(this.#options.clock.timeLimit(GOING_LIMIT));
    this.#options.put({ kind: 'guest-left', guest: domain.id });
  }

  /** Puts back what was changed at the beginning, as far as libvirt still answers. Never rejects. */
  async leave(limit: AbortSignal): Promise<void> {
    const virsh = this.#virsh;
    const domains = [...this.#domains.values()];
    const back = virsh === null ? [] : domains.map((domain) => domain.polling.putBack(actOn(virsh, domain)));
    // At the same time: somebody inside who does not answer is no reason to leave statistics on.
    await Promise.all([...back, ...domains.map(({ inside }) => inside.close(limit))]);
  }
}

/** As libvirt calls it where a guest only stands still for a while, unless it goes on as it was at another time. */
const GOES_ON = /^(Suspended|Resumed|PMSuspended|Defined|Undefined)\b(?!.*snapshot)/i;

/** Whether what was opened in the guest may not be there any more. */
const endsInside = ({ kind, detail }: DomainEvent): boolean =>
  kind === 'restarted' || kind === 'agent' || (kind === 'lifecycle' && !GOES_ON.test(detail));

const describeWords = (uuid: string): readonly string[] => ['dumpxml', uuid];
