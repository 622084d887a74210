/**
 * Which domains there are, and what their folders say, while a connection to xenstored lasts and from one to the next. It turns
 * changes into notices, and does not know what they are for.
 */
import { cleanGuestName, guestIdOf } from '../../control/guest-name.js';
import { NO_LIMITS } from '../../control/limits.js';
import type { Clock, GuestDescription, GuestNotice } from '../../control/ports.js';
import type { GuestId } from '../../control/reading.js';
import type { Millis } from '../../units.js';
import { XenstoreError, type Xenstore } from '../../xenstore/index.js';
import { DOMAINS, limitsOf, parseDomid } from './codec.js';
import { DomainWatch } from './domain-watch.js';
import { emptyRecord, newAlarm, silenceOf, type DomainRecord } from './domain-record.js';

export const KIND = 'xen-host';
export const DOM0 = 0;

export interface RosterOptions {
  readonly clock: Clock;
  readonly put: (notice: GuestNotice) => void;
  /** What is known of a domain as a guest, besides its name. */
  readonly describe: (record: DomainRecord) => Omit<GuestDescription, 'id' | 'name'>;
}

interface Entry {
  readonly id: GuestId;
  watch: DomainWatch;
  told: GuestDescription;
  /** It has been told that nobody reports any more. */
  isSilent: boolean;
}

export class Roster {
  readonly #options: RosterOptions;
  readonly #entries = new Map<number, Entry>();
  readonly #ids = new Map<GuestId, number>();

  constructor(options: RosterOptions) {
    this.#options = options;
  }

  /** The domain of that id as it is known now; null when it is gone. */
  find(guest: GuestId): DomainRecord | null {
    const domid = this.#ids.get(guest);
    return domid === undefined ? null : (this.#entries.get(domid)?.watch.record ?? null);
  }

  /** Tells of guests that have not reported for long: once for each silence. */
  tellSilence(now: Millis): void {
    for (const entry of this.#entries.values()) {
      const alarm = silenceOf(entry.watch.record, now);
      if (alarm !== null && !entry.isSilent) this.#options.put({ kind: 'guest-alarm', guest: entry.id, alarm });
      entry.isSilent = alarm !== null;
    }
  }

  /** Follows the domains over this connection, until it ends or is not used any more. */
  async follow(store: Xenstore): Promise<void> {
    for (const entry of this.#entries.values()) entry.watch.end();
    const scans = new Scans(() => this.#scan(store));
    const listener = (): Promise<void> => scans.ask();
    await store.watch('@introduceDomain', listener);
    await store.watch('@releaseDomain', listener);
    const carriedOver = [...this.#entries.values()];
    await scans.ask();
    // Those that were known before and are still there have lost their watches with the connection before this one.
    for (const entry of carriedOver) if (this.#ids.has(entry.id)) await this.#watchAnew(store, entry);
  }

  async #scan(store: Xenstore): Promise<void> {
    const listed = (await store.list(DOMAINS)).map(parseDomid).filter((domid) => domid !== null);
    const introduced = await Promise.all(listed.map((domid) => store.isDomainIntroduced(domid)));
    const present = new Set(listed.filter((_, n) => introduced[n] === true));
    for (const domid of [...this.#entries.keys()]) if (!present.has(domid)) this.#remove(domid);
    for (const domid of present) if (!this.#entries.has(domid)) await this.#add(store, domid);
  }

  async #add(store: Xenstore, domid: number): Promise<void> {
    const watch = this.#watchOf(store, emptyRecord(domid));
    await watch.begin();
    const id = idOf(watch.record);
    const told = this.#describe(id, watch.record);
    this.#entries.set(domid, { id, watch, told, isSilent: false });
    this.#ids.set(id, domid);
    this.#options.put({ kind: 'guest-came', guest: told });
  }

  async #watchAnew(store: Xenstore, entry: Entry): Promise<void> {
    entry.watch = this.#watchOf(store, entry.watch.record);
    await entry.watch.begin();
  }

  #remove(domid: number): void {
    const entry = this.#entries.get(domid);
    if (entry === undefined) return;
    entry.watch.end();
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
      onRecord: (after) => {
        const alarm = newAlarm(before, after);
        before = after;
        this.#tellChange(after);
        const entry = this.#entries.get(after.domid);
        if (alarm !== null && entry !== undefined) {
          this.#options.put({ kind: 'guest-alarm', guest: entry.id, alarm });
        }
      },
    });
  }

  #tellChange(record: DomainRecord): void {
    const entry = this.#entries.get(record.domid);
    if (entry === undefined) return;
    const guest = this.#describe(entry.id, record);
    if (JSON.stringify(guest) === JSON.stringify(entry.told)) return;
    entry.told = guest;
    this.#options.put({ kind: 'guest-changed', guest });
  }

  #describe(id: GuestId, record: DomainRecord): GuestDescription {
    return { id, name: nameOf(record), ...this.#options.describe(record) };
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
const idOf = (record: DomainRecord): GuestId => guestIdOf(KIND, `${nameOf(record).slice(0, NAME_MAX)}:${record.domid}`);
/** An id has at most 255 characters. */
const NAME_MAX = 200;

/** One scan at a time; what is asked for meanwhile is one more after it. */
class Scans {
  #running: Promise<void> | null = null;
  #isWanted = false;

  constructor(readonly scan: () => Promise<void>) {}

  async ask(): Promise<void> {
    this.#isWanted = true;
    this.#running ??= this.#run();
    await this.#running;
  }

  async #run(): Promise<void> {
    try {
      while (this.#isWanted) {
        this.#isWanted = false;
        await this.scan();
      }
    } catch (error) {
      // The connection's end is told elsewhere, and begins everything anew.
      if (!(error instanceof XenstoreError)) throw error;
    } finally {
      this.#running = null;
    }
  }
}
