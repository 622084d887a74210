/**
 * Keeps a connection: makes it, and when it is lost makes it again, after pauses that grow. It does not know what it leads to nor
 * what is done over it; whoever uses it is told of each new one.
 */
import type { Clock } from '../control/ports.js';
import { errorText } from '../errors.js';
import { addMillis, millis, minMillis, type Millis } from '../units.js';

/** Why a connection ended: by our own hand, or not. */
export type ConnectionEnd = { readonly kind: 'closed' } | { readonly kind: 'lost'; readonly error: Error };

/** What can be kept. */
export interface Connection {
  /** Resolves when it has ended. Never rejects. */
  readonly closed: Promise<ConnectionEnd>;
  /** Ends it. It may be called again. */
  readonly close: () => Promise<void>;
}

/** What is kept, and who is told. */
export interface KeeperOptions<Kept extends Connection> {
  /** What it leads to, for messages: `xenstored`. */
  readonly to: string;
  readonly clock: Clock;
  /** Makes a connection. Rejects when `signal` is aborted, which it is after 5 s. */
  readonly connect: (signal: AbortSignal) => Promise<Kept>;
  /** Begins to use a new connection. What it rejects with counts as the connection's end. */
  readonly onConnected: (connection: Kept) => Promise<void>;
  /** Told when the connection is lost and when it is there again: once each. */
  readonly tell: (message: string) => void;
}

const PAUSE_FIRST = millis(200);
const PAUSE_MAX = millis(5_000);
/** Those to whom we connect are on this machine: they answer in microseconds, or not at all. */
const CONNECT_LIMIT = millis(5_000);

/** Keeps one connection; see the header. */
export class ConnectionKeeper<Kept extends Connection> {
  readonly #options: KeeperOptions<Kept>;
  #connection: Kept | null = null;
  #why = 'it has not been made yet';
  #hasBegun = false;
  /** Whether the last that was told is that it is lost. */
  #isToldLost = false;

  constructor(options: KeeperOptions<Kept>) {
    this.#options = options;
  }

  /** The connection, or why there is none. */
  get state(): { readonly connection: Kept } | { readonly why: string } {
    return this.#connection === null ? { why: this.#why } : { connection: this.#connection };
  }

  /** Whether it is being made, and neither was there before nor could not be made. */
  get isBeginning(): boolean {
    return this.#connection === null && !this.#hasBegun;
  }

  /** Keeps it until `signal` is aborted. Never rejects. */
  async keep(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const isEnded = (): boolean => signal.aborted;
    let pause: Millis = PAUSE_FIRST;
    while (!isEnded()) {
      const { usedFor, why } = await this.#useOnce(signal);
      this.#hasBegun = true;
      if (isEnded()) return;
      this.#why = why;
      this.#tellLost(why);
      // One that ends at once again and again is no better than none: the pauses go on growing.
      if (usedFor > PAUSE_MAX) pause = PAUSE_FIRST;
      await clock.sleepUntil(addMillis(clock.now(), pause), signal);
      pause = minMillis(millis(pause * 2), PAUSE_MAX);
    }
  }

  /** One connection from its beginning to its end. */
  async #useOnce(signal: AbortSignal): Promise<Use> {
    const { clock, onConnected } = this.#options;
    let connection: Kept | null = null;
    let usedFrom: Millis | null = null;
    const ended = (why: string): Use => ({ usedFor: usedFrom === null ? 0 : clock.now() - usedFrom, why });
    const onAbort = (): void => void connection?.close();
    try {
      connection = await this.#connect(signal);
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
      this.#connection = connection;
      await onConnected(connection);
      usedFrom = clock.now();
      this.#tellFound();
      const end = await connection.closed;
      return ended(end.kind === 'lost' ? end.error.message : 'it was closed');
    } catch (error) {
      return ended(errorText(error));
    } finally {
      this.#connection = null;
      signal.removeEventListener('abort', onAbort);
      await connection?.close();
    }
  }

  /** Ends early when `signal` is aborted: whoever ends the program does not wait for the other side. */
  async #connect(signal: AbortSignal): Promise<Kept> {
    const { clock, connect } = this.#options;
    const ends = new AbortController();
    // Not `AbortSignal.any`: it has kept what it made alive for as long as the signal that never ends.
    const onAbort = (): void => {
      ends.abort();
    };
    const limit = clock.timeLimit(CONNECT_LIMIT);
    limit.addEventListener('abort', onAbort, { once: true });
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await connect(ends.signal);
    } finally {
      limit.removeEventListener('abort', onAbort);
      signal.removeEventListener('abort', onAbort);
    }
  }

  #tellLost(why: string): void {
    if (this.#isToldLost) return;
    this.#isToldLost = true;
    this.#options.tell(`the connection to ${this.#options.to} is lost: ${why}; connecting again`);
  }

  #tellFound(): void {
    if (!this.#isToldLost) return;
    this.#isToldLost = false;
    this.#options.tell(`${this.#options.to} is connected to again`);
  }
}

/** How a connection was: for how many milliseconds it could be used, and why it ended. */
interface Use {
  readonly usedFor: number;
  readonly why: string;
}
