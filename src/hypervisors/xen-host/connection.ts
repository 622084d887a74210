/**
 * Keeps a connection to xenstored: connects, and when it is lost connects again, after pauses that grow. It does not know what is
 * done over the connection; whoever uses it is told of each new one.
 */
import type { Clock } from '../../control/ports.js';
import { errorText } from '../../errors.js';
import { addMillis, millis, minMillis, type Millis } from '../../units.js';
import type { Xenstore } from '../../xenstore/index.js';

export interface ConnectionOptions {
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

export class Connection {
  readonly #options: ConnectionOptions;
  #store: Xenstore | null = null;
  #why = 'it has not been made yet';

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** The connection, or why there is none. */
  get state(): { readonly store: Xenstore } | { readonly why: string } {
    return this.#store === null ? { why: this.#why } : { store: this.#store };
  }

  /** Keeps it until `signal` is aborted. Never rejects. */
  async keep(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    let pause: Millis = PAUSE_FIRST;
    let isLost = false;
    for (;;) {
      const beganAt = clock.now();
      const why = await this.#useOnce(signal, isLost);
      if (signal.aborted) return;
      if (!isLost || clock.now() - beganAt > PAUSE_MAX) {
        this.#options.tell(`the connection to xenstored is lost: ${why}; connecting again`);
        pause = PAUSE_FIRST;
      }
      isLost = true;
      this.#why = why;
      await clock.sleepUntil(addMillis(clock.now(), pause), signal);
      pause = minMillis(millis(pause * 2), PAUSE_MAX);
    }
  }

  /** One connection from its beginning to its end; returns why it ended. */
  async #useOnce(signal: AbortSignal, wasLost: boolean): Promise<string> {
    const { connect, clock, onConnected, tell } = this.#options;
    let store: Xenstore | null = null;
    const onAbort = (): void => void store?.close();
    try {
      store = await connect(clock.timeLimit(CONNECT_LIMIT));
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
      await onConnected(store);
      this.#store = store;
      if (wasLost) tell('xenstored is connected to again');
      const end = await store.closed;
      return end.kind === 'lost' ? end.error.message : 'it was closed';
    } catch (error) {
      return errorText(error);
    } finally {
      this.#store = null;
      signal.removeEventListener('abort', onAbort);
      await store?.close();
    }
  }
}
