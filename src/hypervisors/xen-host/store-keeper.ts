/**
 * Keeps a connection to xenstored: connects, and when it is lost connects again, after pauses that grow. It does not know what is
 * done over the connection; whoever uses it is told of each new one.
 */
import type { Clock } from '../../control/ports.js';
import { errorText } from '../../errors.js';
import { addMillis, millis, minMillis, type Millis } from '../../units.js';
import type { Xenstore } from '../../xenstore/index.js';

export interface StoreKeeperOptions {
  readonly connect: (signal: AbortSignal) => Promise<Xenstore>;
  readonly clock: Clock;
  /** Begins to use a new connection. What it rejects with counts as the connection's end. */
  readonly onConnected: (store: Xenstore) => Promise<void>;
  /** Told when the connection is lost and when it is there again. */
  readonly tell: (message: string) => void;
}

const PAUSE_FIRST = millis(200);
const PAUSE_MAX = millis(5_000);
/** xenstored answers in microseconds, or does not answer at all. */
const CONNECT_LIMIT = millis(5_000);

export class StoreKeeper {
  readonly #options: StoreKeeperOptions;
  #store: Xenstore | null = null;
  #why = 'it has not been made yet';
  /** Whether the last that was told is that it is lost. */
  #isToldLost = false;

  constructor(options: StoreKeeperOptions) {
    this.#options = options;
  }

  /** The connection, or why there is none. */
  get state(): { readonly store: Xenstore } | { readonly why: string } {
    return this.#store === null ? { why: this.#why } : { store: this.#store };
  }

  /** Keeps it until `signal` is aborted. Never rejects. */
  async keep(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const isEnded = (): boolean => signal.aborted;
    let pause: Millis = PAUSE_FIRST;
    while (!isEnded()) {
      const { usedFor, why } = await this.#useOnce(signal);
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
    let store: Xenstore | null = null;
    let usedFrom: Millis | null = null;
    const ended = (why: string): Use => ({ usedFor: usedFrom === null ? 0 : clock.now() - usedFrom, why });
    const onAbort = (): void => void store?.close();
    try {
      store = await this.#connect(signal);
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
      this.#store = store;
      await onConnected(store);
      usedFrom = clock.now();
      this.#tellFound();
      const end = await store.closed;
      return ended(end.kind === 'lost' ? end.error.message : 'it was closed');
    } catch (error) {
      return ended(errorText(error));
    } finally {
      this.#store = null;
      signal.removeEventListener('abort', onAbort);
      await store?.close();
    }
  }

  /** Ends early when `signal` is aborted: whoever ends the program does not wait for xenstored. */
  async #connect(signal: AbortSignal): Promise<Xenstore> {
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
    this.#options.tell(`the connection to xenstored is lost: ${why}; connecting again`);
  }

  #tellFound(): void {
    if (!this.#isToldLost) return;
    this.#isToldLost = false;
    this.#options.tell('xenstored is connected to again');
  }
}

/** How a connection was: for how many milliseconds it could be used, and why it ended. */
interface Use {
  readonly usedFor: number;
  readonly why: string;
}
