/**
 * Follows one domain's folder in xenstore while a connection lasts: reads what changes there and hands on the domain's new record.
 * What a guest can write is read at most ten times a second, however often it is written.
 */
import type { Clock } from '../../control/ports.js';
import { stamp, unknown } from '../../control/signal.js';
import { parseReport, REPORT_LENGTH_MAX } from '../../signals/report.js';
import { addMillis, millis, type Millis } from '../../units.js';
import { XenstoreError, type Unwatch, type WatchEvent, type Xenstore } from '../../xenstore/index.js';
import { homeOf, NODES, parseSize } from './codec.js';
import { withReport, type DomainRecord } from './domain-record.js';

export interface DomainWatchOptions {
  readonly store: Xenstore;
  readonly clock: Clock;
  /** What was known of the domain before. */
  readonly record: DomainRecord;
  readonly onRecord: (record: DomainRecord) => void;
}

/** A reporter of ours writes at most ten times a second. */
const GUEST_PAUSE = millis(100);

export class DomainWatch {
  readonly #options: DomainWatchOptions;
  readonly #home: string;
  readonly #ending = new AbortController();
  readonly #stops: Unwatch[] = [];
  #record: DomainRecord;

  constructor(options: DomainWatchOptions) {
    this.#options = options;
    this.#record = options.record;
    this.#home = homeOf(options.record.domid);
  }

  get record(): DomainRecord {
    return this.#record;
  }

  /** Reads what there is and sets the watches up. Rejects with `XenstoreError` when the connection is lost. */
  async begin(): Promise<void> {
    await this.#readOwn();
    await this.#watch(NODES.name, () => this.#readName());
    await this.#watch(NODES.memory, (path) => this.#readMemory(path));
    await this.#watch(NODES.report, (path) => this.#readReport(path));
  }

  /** Nothing is handed on any more. Its watches may go on for a moment; nobody listens. */
  end(): void {
    this.#ending.abort();
    for (const stop of this.#stops.splice(0)) void stop().catch(() => undefined);
  }

  async #watch(node: string, read: (path: string) => Promise<void>): Promise<void> {
    const listener = async ({ path }: WatchEvent): Promise<void> => {
      try {
        if (!this.#ending.signal.aborted) await read(path);
      } catch (error) {
        // The connection's end is told elsewhere; anything else is a fault of ours.
        if (!(error instanceof XenstoreError)) throw error;
      }
    };
    this.#stops.push(await this.#options.store.watch(`${this.#home}/${node}`, listener));
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

  async #readOwn(): Promise<void> {
    await this.#readName();
    await this.#readSizes();
  }

  async #readName(): Promise<void> {
    const name = await this.#text(NODES.name);
    if (name !== null && name !== '') this.#take({ name });
  }

  async #readSizes(): Promise<void> {
    const [target, staticMax, dynamicMin, dynamicMax] = await Promise.all([
      this.#text(NODES.target),
      this.#text(NODES.staticMax),
      this.#text(NODES.dynamicMin),
      this.#text(NODES.dynamicMax),
    ]);
    this.#take({
      asked: sizeIn(NODES.target, target),
      staticMax: sizeIn(NODES.staticMax, staticMax),
      dynamicMin,
      dynamicMax,
    });
  }

  async #readMemory(path: string): Promise<void> {
    const isUsed = path === `${this.#home}/${NODES.used}`;
    if (!isUsed) await this.#readSizes();
    const isWhole = path === `${this.#home}/${NODES.memory}`;
    if (isUsed || isWhole) await this.#readUsed();
    if (isUsed) await this.#pause();
  }

  async #readUsed(): Promise<void> {
    const at = this.#now();
    const text = await this.#text(NODES.used);
    this.#take({ used: stamp(sizeIn(NODES.used, text), at) });
  }

  async #readReport(path: string): Promise<void> {
    if (path !== `${this.#home}/${NODES.report}`) return;
    const at = this.#now();
    const text = await this.#text(NODES.report);
    if (text === null) this.#take({ reported: null, refusal: null });
    else this.#take(withReport(this.#record, text.length > REPORT_LENGTH_MAX ? TOO_LONG : parseReport(text), at));
    await this.#pause();
  }

  #now(): Millis {
    return this.#options.clock.now();
  }

  async #pause(): Promise<void> {
    await this.#options.clock.sleepUntil(addMillis(this.#now(), GUEST_PAUSE), this.#ending.signal);
  }
}

/** What xenstored, or our own check of the text, says of a node that says nothing. */
const NOT_THERE = new Set(['ENOENT', 'EACCES', 'EINVAL']);
const TOO_LONG = unknown('malformed', `the report is longer than ${REPORT_LENGTH_MAX} characters`);

const sizeIn = (node: string, text: string | null) =>
  text === null ? unknown('not-reported', `there is no ${node}`) : parseSize(node, text);
