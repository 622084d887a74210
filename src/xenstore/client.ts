/**
 * A client of xenstored over any transport: requests are sent without waiting for the answers to earlier ones, watch events go
 * to their listeners. It does not connect again by itself: with a connection xenstored forgets its watches and transactions, and
 * only the caller knows what is to be done then.
 */
import type { Clock } from '../control/ports.js';
import { errorText } from '../errors.js';
import { millis, type Millis } from '../units.js';
import { decodeBoolean, decodeOk, decodePath } from './answers.js';
import { encodeStrings, type Frame } from './codec.js';
import { brokenProtocol, invalid, XenstoreError } from './errors.js';
import { Exchange, type Request } from './exchange.js';
import { FrameDecoder } from './frame-decoder.js';
import { checkWatchPath } from './paths.js';
import { checkDomid } from './permissions.js';
import { storeOver, type Ask, type CallOptions, type Store } from './store.js';
import { runTransaction, type TransactionOptions } from './transaction.js';
import type { Transport } from './transport.js';
import type { WatchListener } from './watch-queue.js';
import { Watches } from './watches.js';

export interface XenstoreOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  /** The time limit of calls without a signal. Default 5 s. */
  readonly limit?: Millis;
  /** Requests under way at once, 1 or more. Default 16: of an unprivileged domain xenstored takes 20 at a time. */
  readonly outstandingMax?: number;
  /** Requests that wait to be sent; further ones are refused with EBUSY. Default 16,384. */
  readonly waitingMax?: number;
  /** Watches at the same time; further ones are refused with EBUSY. Default 16,384. */
  readonly watchesMax?: number;
  /** Paths that wait for listeners, over all watches; then a watch gets an `overrun` instead. Default 4096. */
  readonly eventsMax?: number;
  /** Told what a listener of a watch throws. Default: it is thrown where nobody catches it. */
  readonly onListenerError?: (error: unknown) => void;
}

/** Why a connection ended. */
export type XenstoreEnd = { readonly kind: 'closed' } | { readonly kind: 'lost'; readonly error: XenstoreError };

/** Ends a watch. The listener is not called again, from this moment on. It may be called again. */
export type Unwatch = (options?: CallOptions) => Promise<void>;

export interface Xenstore extends Store {
  /** The home of a domain, as `/local/domain/7`; it need not exist. `domid`: 0 to 65535. */
  readonly getDomainPath: (domid: number, options?: CallOptions) => Promise<string>;
  /** Whether xenstored is in touch with the domain. `domid`: 0 to 65535. */
  readonly isDomainIntroduced: (domid: number, options?: CallOptions) => Promise<boolean>;
  /** Runs `body` in a transaction; see `runTransaction`. */
  readonly transaction: <T>(body: (store: Store) => Promise<T>, options?: TransactionOptions) => Promise<T>;
  /**
   * Calls `listener` once at the beginning and whenever `path` or something below changes, one event at a time. Also
   * `@introduceDomain` and `@releaseDomain`.
   */
  readonly watch: (path: string, listener: WatchListener, options?: CallOptions) => Promise<Unwatch>;
  /** Resolves when the connection has ended. Never rejects. */
  readonly closed: Promise<XenstoreEnd>;
  /**
   * Ends the connection; calls under way reject with EUNAVAILABLE. With `why` it counts as lost for that reason. It may be called again.
   */
  readonly close: (why?: XenstoreError) => Promise<void>;
}

/** Begins to speak with xenstored over `transport`, and closes it in the end. */
export function openXenstore(options: XenstoreOptions): Xenstore {
  const { clock, outstandingMax = 16 } = options;
  if (outstandingMax < 1) throw invalid(`${outstandingMax} requests at a time are too few`, 'Use 1 or more');
  const connection = new Connection({ ...options, outstandingMax });
  const ask: Ask = (request, asking) => connection.exchange.ask(request, asking);
  return {
    ...storeOver(ask),
    getDomainPath: async (domid, asking) => {
      const request = aboutDomain('GET_DOMAIN_PATH', domid);
      return decodePath(await ask(request, { signal: asking?.signal }), request);
    },
    isDomainIntroduced: async (domid, asking) => {
      const request = aboutDomain('IS_DOMAIN_INTRODUCED', domid);
      return decodeBoolean(await ask(request, { signal: asking?.signal }), request);
    },
    transaction: (body, asking) => runTransaction({ ask, clock }, body, asking),
    watch: (path, listener, asking) => watch(connection, path, listener, asking),
    closed: connection.closed,
    close: (why) => connection.close(why),
  };
}

/** The payload ends in one NUL like any string, and the domain's number is in decimal. */
function aboutDomain(operation: 'GET_DOMAIN_PATH' | 'IS_DOMAIN_INTRODUCED', domid: number): Request {
  checkDomid(domid);
  return { operation, subject: `domain ${domid}`, payload: encodeStrings(`${domid}`) };
}

async function watch(
  { exchange, watches }: Connection,
  path: string,
  listener: WatchListener,
  options?: CallOptions,
): Promise<Unwatch> {
  checkWatchPath(path);
  const { token, queue } = watches.add(path, listener);
  const payload = encodeStrings(path, token);
  const stop = async (asking?: CallOptions): Promise<void> => {
    const request: Request = { operation: 'UNWATCH', subject: path, payload };
    try {
      decodeOk(await exchange.ask(request, { signal: asking?.signal }), request);
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  };
  const request: Request = { operation: 'WATCH', subject: path, payload };
  // Set up after all, when nobody wants it any more. Should this fail too, its events go nowhere.
  const onLate = (): void => void stop().catch(() => undefined);
  try {
    decodeOk(await exchange.ask(request, { signal: options?.signal, onLate }), request);
  } catch (error) {
    watches.remove(token);
    throw error;
  }
  queue.begin();
  let stopped: Promise<void> | null = null;
  return (asking) => {
    watches.remove(token);
    return (stopped ??= stop(asking));
  };
}

/** xenstored does not know the watch, or has forgotten it with the connection: that is what was wanted. */
const isGone = (error: unknown): boolean =>
  error instanceof XenstoreError && (error.xenstoreCode === 'ENOENT' || error.xenstoreCode === 'EUNAVAILABLE');

const WAITING_MAX = 16_384;
const WATCHES_MAX = 16_384;
const EVENTS_MAX = 4096;
const LIMIT = millis(5_000);

/** Thrown where nobody catches it: a listener's fault must not go unseen. */
function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

class Connection {
  readonly exchange: Exchange;
  readonly watches: Watches;
  readonly closed: Promise<XenstoreEnd>;
  readonly #transport: Transport;
  readonly #decoder = new FrameDecoder();
  #tellEnd: (end: XenstoreEnd) => void = () => undefined;
  #hasEnded = false;

  constructor(options: XenstoreOptions & { readonly outstandingMax: number }) {
    const { transport, clock, outstandingMax, waitingMax = WAITING_MAX, limit = LIMIT } = options;
    const { watchesMax = WATCHES_MAX, eventsMax = EVENTS_MAX, onListenerError: onError = throwLater } = options;
    this.#transport = transport;
    this.exchange = new Exchange({ transport, clock, outstandingMax, waitingMax, limit });
    this.watches = new Watches({ watchesMax, eventsMax, onError });
    this.closed = new Promise((resolve) => (this.#tellEnd = resolve));
    transport.start({
      onBytes: (chunk) => {
        this.#receive(chunk);
      },
      onLost: (error) => {
        void this.#end({ kind: 'lost', error });
      },
    });
  }

  #receive(chunk: Uint8Array): void {
    if (this.#hasEnded) return;
    try {
      this.#decoder.push(chunk, (frame) => {
        this.#take(frame);
      });
    } catch (error) {
      const why = error instanceof XenstoreError ? error : brokenProtocol(errorText(error));
      void this.#end({ kind: 'lost', error: why });
    }
  }

  #take(frame: Frame): void {
    if (frame.operation === 'WATCH_EVENT') this.watches.take(frame.payload);
    else this.exchange.take(frame);
  }

  close(why?: XenstoreError): Promise<void> {
    return this.#end(why === undefined ? { kind: 'closed' } : { kind: 'lost', error: why });
  }

  #end(end: XenstoreEnd): Promise<void> {
    if (!this.#hasEnded) {
      this.#hasEnded = true;
      this.exchange.end(end.kind === 'lost' ? end.error : null);
      this.watches.removeAll();
      this.#tellEnd(end);
    }
    return this.#transport.close();
  }
}
