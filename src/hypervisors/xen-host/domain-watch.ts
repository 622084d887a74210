/**
 * Follows one domain's folder in xenstore while a connection lasts: reads what changes there and hands on the domain's new record.
 * What a guest can write is read at most ten times a second, however often it is written.
 */
import type { Clock } from '../../control/ports.js';
import { stamp, unknown } from '../../control/signal.js';
import { NO_REPORTS, withReport } from '../../signals/reported-guest.js';
import type { Millis } from '../../units.js';
import { XenstoreError, type Unwatch, type WatchEvent, type Xenstore } from '../../xenstore/index.js';
import { homeOf, NODES, parseSize, videoRamIn } from './codec.js';
import type { DomainRecord } from './domain-record.js';
import { isDoneOver, PacedRead } from './paced-read.js';

export interface DomainWatchOptions {
  readonly store: Xenstore;
  readonly clock: Clock;
  /** What was known of the domain before. */
  readonly record: DomainRecord;
  readonly onRecord: (record: DomainRecord) => void;
  /** Told of each thing that was read or watched, and of each that could not be. */
  readonly onDone: (what: string, failure: XenstoreError | null) => void;
}

export class DomainWatch {
  readonly #options: DomainWatchOptions;
  readonly #home: string;
  readonly #ending = new AbortController();
  readonly #stops: Unwatch[] = [];
  readonly #name: PacedRead;
  readonly #sizes: PacedRead;
  readonly #used: PacedRead;
  readonly #report: PacedRead;
  #record: DomainRecord;

  constructor(options: DomainWatchOptions) {
    this.#options = options;
    this.#record = options.record;
    this.#home = homeOf(options.record.domid);
    const paced = (read: () => Promise<void>): PacedRead =>
      new PacedRead(() => isDoneOver(read()), options.clock, this.#ending.signal);
    this.#name = paced(() => this.#told(NODES.name, this.#readName()));
    this.#sizes = paced(() => this.#told(NODES.memory, this.#readSizes()));
    this.#used = paced(() => this.#told(NODES.used, this.#readUsed()));
    this.#report = paced(() => this.#told(NODES.report, this.#readReport()));
  }

  get record(): DomainRecord {
    return this.#record;
  }

  /**
   * Reads what there is and sets the watches up. Rejects with `XenstoreError` when the connection is lost. What the guest itself has
   * written is read first of all too: whoever hears of the guest must not take it for one that never reported. Where that fails it is
   * read again with the event that each watch begins with.
   */
  async begin(): Promise<void> {
    const used = isDoneOver(this.#told(NODES.used, this.#readUsed()));
    const report = isDoneOver(this.#told(NODES.report, this.#readReport()));
    const name = this.#told(NODES.name, this.#readName());
    const sizes = this.#told(NODES.memory, this.#readSizes());
    const machine = this.#told(NODES.machine, this.#readMachine());
    await Promise.all([name, sizes, used, report, machine]);
    await this.#watch(NODES.name, () => void this.#name.ask());
    await this.#watch(NODES.memory, (path) => {
      this.#onMemory(path);
    });
    await this.#watch(NODES.report, (path) => {
      this.#onReport(path);
    });
  }

  /** Reads the guest's report, whether it has changed or not. Resolves to whether it could be. */
  async readReportAgain(): Promise<boolean> {
    try {
      await this.#told(NODES.report, this.#readReport());
    } catch (error) {
      if (error instanceof XenstoreError) return false;
      throw error;
    }
    return !this.#ending.signal.aborted;
  }

  /** Nothing is handed on any more. Its watches may go on for a moment; nobody listens. */
  end(): void {
    this.#ending.abort();
    for (const stop of this.#stops.splice(0)) void stop().catch(() => undefined);
  }

  async #told(what: string, work: Promise<void>): Promise<void> {
    try {
      await work;
      this.#tell(what, null);
    } catch (error) {
      if (error instanceof XenstoreError) this.#tell(what, error);
      throw error;
    }
  }

  #tell(what: string, failure: XenstoreError | null): void {
    if (!this.#ending.signal.aborted) this.#options.onDone(what, failure);
  }

  #watch(node: string, onChange: (path: string) => void): Promise<void> {
    return this.#told(`a watch of ${node}`, this.#setWatch(node, onChange));
  }

  async #setWatch(node: string, onChange: (path: string) => void): Promise<void> {
    const listener = ({ path }: WatchEvent): void => {
      if (!this.#ending.signal.aborted) onChange(path);
    };
    this.#stops.push(await this.#options.store.watch(`${this.#home}/${node}`, listener));
    // Ended in the meantime: nobody else will take this watch away.
    if (this.#ending.signal.aborted) this.end();
  }

  #take(change: Partial<DomainRecord>): void {
    if (this.#ending.signal.aborted) return;
    this.#record = { ...this.#record, ...change };
    this.#options.onRecord(this.#record);
  }

  /** The text of a node below the home; null where it is not there. */
  async #text(node: string): Promise<string | null> {
    try {
      return await this.#options.store.readText(`${this.#home}/${node}`);
    } catch (error) {
      if (error instanceof XenstoreError && NOT_THERE.has(error.xenstoreCode)) return null;
      throw error;
    }
  }

  async #readName(): Promise<void> {
    const name = await this.#text(NODES.name);
    if (name !== null && name !== '') this.#take({ name });
  }

  /** It does not change while the domain is there. */
  async #readMachine(): Promise<void> {
    const machine = await this.#text(NODES.machine);
    if (machine !== null && machine !== '') this.#take({ machine });
  }

  async #readSizes(): Promise<void> {
    const [target, staticMax, videoRam, dynamicMin, dynamicMax] = await Promise.all([
      this.#text(NODES.target),
      this.#text(NODES.staticMax),
      this.#text(NODES.videoRam),
      this.#text(NODES.dynamicMin),
      this.#text(NODES.dynamicMax),
    ]);
    this.#take({
      asked: sizeIn(NODES.target, target),
      staticMax: sizeIn(NODES.staticMax, staticMax),
      videoRam: videoRamIn(videoRam),
      dynamicMin,
      dynamicMax,
    });
  }

  /**
   * Not awaited: what is read at last is read for all the paths that wait. Some of them the guest may write, and as many as it
   * likes: below its own node nothing is looked at.
   */
  #onMemory(path: string): void {
    const used = `${this.#home}/${NODES.used}`;
    if (path.startsWith(`${used}/`)) return;
    if (path === used || path === `${this.#home}/${NODES.memory}`) void this.#used.ask();
    if (path !== used) void this.#sizes.ask();
  }

  #onReport(path: string): void {
    if (path === `${this.#home}/${NODES.report}`) void this.#report.ask();
  }

  async #readUsed(): Promise<void> {
    const at = this.#now();
    const text = await this.#text(NODES.used);
    this.#take({ used: stamp(sizeIn(NODES.used, text), at) });
  }

  async #readReport(): Promise<void> {
    const at = this.#now();
    const text = await this.#reportText();
    // Where its whole folder goes the domain goes, and nobody in it has ended before it.
    if (text === null && this.#record.reported !== null && (await this.#isLeaving())) return;
    this.#take(text === null ? NO_REPORTS : withReport(this.#record, text, at));
  }

  async #isLeaving(): Promise<boolean> {
    try {
      await this.#options.store.read(this.#home);
      return false;
    } catch (error) {
      if (error instanceof XenstoreError && error.xenstoreCode === 'ENOENT') return true;
      throw error;
    }
  }

  /** Bytes that are no text are a report that says nothing; the guest has not taken its report away. */
  async #reportText(): Promise<string | null> {
    try {
      return await this.#options.store.readText(`${this.#home}/${NODES.report}`);
    } catch (error) {
      if (!(error instanceof XenstoreError)) throw error;
      if (error.xenstoreCode === 'EINVAL') return '';
      if (NOT_THERE.has(error.xenstoreCode)) return null;
      throw error;
    }
  }

  #now(): Millis {
    return this.#options.clock.now();
  }
}

/** What xenstored, or our own check of the text, says of a node that says nothing. */
const NOT_THERE = new Set(['ENOENT', 'EACCES', 'EINVAL']);

const sizeIn = (node: string, text: string | null) =>
  text === null ? unknown('not-reported', `there is no ${node}`) : parseSize(node, text);
