/**
 * Which domains there are, and what their folders say, while a connection to xenstored lasts and from one to the next. It turns
 * changes into notices, and does not know what they are for.
 */
import { cleanGuestName, markedGuestId } from '../../adapter/guest-name.js';
import { beginsAnew } from '../../control/alarm.js';
import { NO_LIMITS } from '../../control/limits.js';
import type { Clock, GuestDescription, GuestNotice } from '../../control/ports.js';
import type { GuestId } from '../../control/reading.js';
import { newAlarm, silenceOf } from '../../signals/reported-guest.js';
import { millis, type Millis } from '../../units.js';
import { XenstoreError, type Xenstore } from '../../xenstore/index.js';
import { DOMAINS, limitsOf, NODES, parseDomid } from './codec.js';
import { DomainWatch } from './domain-watch.js';
import { emptyRecord, type DomainRecord } from './domain-record.js';
import { isDoneOver, PacedRead } from './paced-read.js';
import { Reboots } from './reboots.js';
import { Troubles, type Who } from './troubles.js';

export const KIND = 'xen-host';
export const DOM0 = 0;

export interface RosterOptions {
  readonly clock: Clock;
  readonly put: (notice: GuestNotice) => void;
  /** What is known of a domain as a guest, besides its name. */
  readonly describe: (record: DomainRecord) => Omit<GuestDescription, 'id' | 'name'>;
  /** Told what a person should know of: a domain that cannot be read, and when it can be again. */
  readonly tell: (message: string) => void;
}

interface Entry {
  readonly id: GuestId;
  watch: DomainWatch;
  /** Over the connection that is followed now. */
  isWatched: boolean;
  told: GuestDescription;
  /** It has been told that nobody reports any more. */
  isSilent: boolean;
  /** Whether it reports is being looked at. */
  isRead: boolean;
  /** Whether anybody in it, or in the same machine before its reboot, has ever said what it needs. */
  hasSpoken: boolean;
  readonly isRebooted: boolean;
}

const speaks = ({ reported, used }: DomainRecord): boolean => reported !== null || used.known;

export class Roster {
  readonly #options: RosterOptions;
  readonly #entries = new Map<number, Entry>();
  readonly #ids = new Map<GuestId, number>();
  /** When the connection that is followed now was taken up. */
  #followedFrom = millis(0);
  /** Aborted when another connection is followed. */
  #following = new AbortController();
  readonly #troubles: Troubles;
  readonly #reboots = new Reboots();
  /** When all that are there had been looked at over the connection that is followed now; null: they have not yet. */
  #scannedAt: Millis | null = null;
  #hasEverScanned = false;

  constructor(options: RosterOptions) {
    this.#options = options;
    this.#troubles = new Troubles({
      now: () => options.clock.now(),
      tell: options.tell,
      describe: (who) => this.#labelOf(who),
    });
  }

  /** Where domains may be that are not known, or not as they are now; to be called only while there is a connection. */
  get unreached(): readonly string[] {
    const words = this.#troubles.words((who, what) => this.#isMissed(who, what));
    return this.#scannedAt !== null
      ? words
      : [...words, 'the domains of this host: xenstored has not told all of them yet'];
  }

  /** Whether what the domains' folders say over the connection that is followed now was known at that time already. */
  isKnownAt(at: Millis): boolean {
    return this.#scannedAt !== null && at >= this.#scannedAt;
  }

  /** Nobody has looked yet at all that are there, over any connection. */
  get isMeeting(): boolean {
    return !this.#hasEverScanned;
  }

  /** Without it somebody would not be given back to: a name or a report that cannot be read keeps nobody from that. */
  #isMissed(who: Who, what: string): boolean {
    return who === 'list' || !this.#entries.has(who) || what === NODES.memory;
  }

  #labelOf(who: Who): string {
    if (who === 'list') return 'the list of domains';
    const name = this.#entries.get(who)?.told.name;
    return name === undefined ? `domain ${who}` : `domain ${who} (${name})`;
  }

  /** The domain of that id as it is known now; null when it is gone. */
  find(guest: GuestId): DomainRecord | null {
    const domid = this.#ids.get(guest);
    return domid === undefined ? null : (this.#entries.get(domid)?.watch.record ?? null);
  }

  /** All that are known now, as they were last told. */
  get guests(): readonly GuestDescription[] {
    return Array.from(this.#entries.values(), ({ told }) => told);
  }

  /** Tells of guests that have not reported for long: once for each silence. To be called only while there is a connection. */
  tellSilence(now: Millis): void {
    this.#troubles.tellOver();
    for (const entry of this.#entries.values()) {
      if (silenceOf(entry.watch.record, now, this.#followedFrom) === null) entry.isSilent = false;
      else if (!entry.isSilent) void this.#confirmSilence(entry);
    }
  }

  /**
   * Reads once more what it has reported: when it was we who stood still, what came meanwhile may not have been read yet. Where it cannot
   * be read, nobody knows whether it is silent.
   */
  async #confirmSilence(entry: Entry): Promise<void> {
    if (entry.isRead) return;
    entry.isRead = true;
    const isKnown = await entry.watch.readReportAgain();
    entry.isRead = false;
    const alarm = silenceOf(entry.watch.record, this.#options.clock.now(), this.#followedFrom);
    if (!isKnown || alarm === null || !this.#ids.has(entry.id)) return;
    entry.isSilent = true;
    this.#options.put({ kind: 'guest-alarm', guest: entry.id, alarm });
  }

  /**
   * Follows the domains over this connection, until it ends or another one is followed. Resolves when those that are there are
   * known. Rejects with `XenstoreError` when they cannot be listed.
   */
  async follow(store: Xenstore): Promise<void> {
    this.#following.abort();
    const following = new AbortController();
    this.#following = following;
    this.#scannedAt = null;
    this.#followedFrom = this.#options.clock.now();
    for (const entry of this.#entries.values()) {
      entry.watch.end();
      entry.isWatched = false;
    }
    await this.#present(store);
    // One that cannot be looked at now is tried again after the events with which the two watches begin.
    await isDoneOver(this.#scan(store));
    const scannedAt = this.#options.clock.now();
    const scans = new PacedRead(() => isDoneOver(this.#scan(store)), this.#options.clock, following.signal);
    for (const event of ['@introduceDomain', '@releaseDomain']) await store.watch(event, () => void scans.ask());
    // Only now: a connection that was lost in the middle is one of which the scan saw nothing, or a part.
    this.#scannedAt = scannedAt;
    this.#hasEverScanned = true;
  }

  async #present(store: Xenstore): Promise<ReadonlySet<number>> {
    const listed = (await store.list(DOMAINS)).map(parseDomid).filter((domid) => domid !== null);
    const introduced = await Promise.all(listed.map((domid) => store.isDomainIntroduced(domid)));
    return new Set(listed.filter((_, n) => introduced[n] === true));
  }

  async #presentNow(store: Xenstore): Promise<ReadonlySet<number>> {
    try {
      const present = await this.#present(store);
      this.#troubles.note('list', DOMAINS, null);
      return present;
    } catch (error) {
      if (error instanceof XenstoreError) this.#troubles.note('list', DOMAINS, error);
      throw error;
    }
  }

  /** What goes wrong with one domain is thrown when all the others have been looked at. */
  async #scan(store: Xenstore): Promise<void> {
    const present = await this.#presentNow(store);
    this.#troubles.keepOnly(present);
    for (const domid of [...this.#entries.keys()]) if (!present.has(domid)) this.#remove(domid);
    const failures: unknown[] = [];
    for (const domid of present) {
      const entry = this.#entries.get(domid);
      if (entry?.isWatched === true) continue;
      const work = entry === undefined ? this.#add(store, domid) : this.#watchAnew(store, entry);
      await work.catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0) throw failures[0];
  }

  async #add(store: Xenstore, domid: number): Promise<void> {
    const watch = this.#watchOf(store, emptyRecord(domid));
    await begin(watch);
    const { record } = watch;
    const now = this.#options.clock.now();
    const isRebooted = this.#reboots.isBack(record.machine, now);
    const id = idOf(record);
    const told = this.#describe({ id, isRebooted }, record);
    const hasSpoken = isRebooted || speaks(record);
    this.#entries.set(domid, {
      id,
      watch,
      isWatched: true,
      told,
      isSilent: false,
      isRead: false,
      hasSpoken,
      isRebooted,
    });
    this.#ids.set(id, domid);
    this.#options.put({ kind: 'guest-came', guest: told });
    if (!isRebooted) return;
    this.#options.tell(`${id}: the same machine left not long ago, and may be as small now as it was asked to be then`);
    this.#options.put({ kind: 'guest-alarm', guest: id, alarm: beginsAnew(now) });
  }

  /** It was known before, and has lost its watches with the connection before this one. */
  async #watchAnew(store: Xenstore, entry: Entry): Promise<void> {
    entry.watch = this.#watchOf(store, entry.watch.record);
    await begin(entry.watch);
    entry.isWatched = true;
  }

  #remove(domid: number): void {
    const entry = this.#entries.get(domid);
    if (entry === undefined) return;
    entry.watch.end();
    if (entry.hasSpoken) this.#reboots.noteLeft(entry.watch.record.machine, this.#options.clock.now());
    this.#entries.delete(domid);
    this.#ids.delete(entry.id);
    this.#options.put({ kind: 'guest-left', guest: entry.id });
  }

  #watchOf(store: Xenstore, record: DomainRecord): DomainWatch {
    let before = record;
    return new DomainWatch({
      store,
      clock: this.#options.clock,
      record,
      onDone: (what, failure) => {
        this.#troubles.note(record.domid, what, failure);
      },
      onRecord: (after) => {
        const alarm = newAlarm(before, after);
        before = after;
        this.#tellChange(after);
        const entry = this.#entries.get(after.domid);
        if (entry === undefined) return;
        entry.hasSpoken ||= speaks(after);
        if (alarm !== null) this.#options.put({ kind: 'guest-alarm', guest: entry.id, alarm });
      },
    });
  }

  #tellChange(record: DomainRecord): void {
    const entry = this.#entries.get(record.domid);
    if (entry === undefined) return;
    const guest = this.#describe(entry, record);
    if (JSON.stringify(guest) === JSON.stringify(entry.told)) return;
    entry.told = guest;
    this.#options.put({ kind: 'guest-changed', guest });
  }

  #describe({ id, isRebooted }: Pick<Entry, 'id' | 'isRebooted'>, record: DomainRecord): GuestDescription {
    const shared = { id, name: nameOf(record), ...this.#options.describe(record) };
    return isRebooted ? { ...shared, isRebooted } : shared;
  }
}

/** One that cannot be begun leaves no watches behind. */
async function begin(watch: DomainWatch): Promise<void> {
  try {
    await watch.begin();
  } catch (error) {
    watch.end();
    throw error;
  }
}

/** A domain's own limits, or none. */
export const adminLimits = ({ dynamicMin, dynamicMax }: DomainRecord): Pick<GuestDescription, 'limits'> =>
  dynamicMin === null && dynamicMax === null ? { limits: NO_LIMITS } : { limits: limitsOf(dynamicMin, dynamicMax) };

const nameOf = ({ name, domid }: DomainRecord): string => {
  const clean = cleanGuestName(KIND, name);
  return clean === '' ? `${domid}` : clean;
};

/** With the number: a domain that is rebooted is another one of the same name. A domain that is renamed keeps its id. */
const idOf = (record: DomainRecord): GuestId =>
  markedGuestId({ kind: KIND, name: nameOf(record), mark: `${record.domid}` });
