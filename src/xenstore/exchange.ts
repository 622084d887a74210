/**
 * Requests and their answers on one connection. Many may be under way at once; each answer finds its request by its id. It does
 * not know what a request means.
 *
 * A request that its caller has given up on keeps its id and its place until the answer comes, so that a late answer is never
 * taken for that of another request, and a server that is slow is not asked for more and more.
 */
import type { Clock } from '../control/ports.js';
import type { Millis } from '../units.js';
import { encodeFrame, ID_MAX, type Frame } from './codec.js';
import { brokenProtocol, connectionGone, gaveUp, named, notTaken, refused, tooLarge, tooMany } from './errors.js';
import type { Subject, XenstoreError } from './errors.js';
import type { Operation } from './operations.js';
import type { Transport } from './transport.js';

export interface Request extends Subject {
  readonly operation: Operation;
  /** Default 0: outside transactions. */
  readonly transactionId?: number;
  readonly payload: Buffer;
}

export interface RequestOptions {
  /** Gives up when it is aborted. Without it there is a time limit of its own. */
  readonly signal?: AbortSignal | undefined;
  /** Told the answer's payload when the request succeeds after its caller gave up, for what must then be undone. */
  readonly onLate?: (payload: Buffer) => void;
}

export interface ExchangeOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  /** How many requests may be unanswered; further ones wait. 1 or more. */
  readonly outstandingMax: number;
  /** How many may wait; further ones are refused with EBUSY. */
  readonly waitingMax: number;
  /** The time limit of requests without a signal. */
  readonly limit: Millis;
  /** The largest id, after which they begin again: from `outstandingMax` to 2^32 − 1, which is the default. */
  readonly idMax?: number;
}

interface Call {
  readonly request: Request;
  readonly onLate: RequestOptions['onLate'];
  /** Null when nobody waits for the answer any more. */
  waiter: Waiter | null;
  id: number;
}

interface Waiter {
  readonly resolve: (payload: Buffer) => void;
  readonly reject: (why: XenstoreError) => void;
  readonly stopClock: () => void;
}

export class Exchange {
  readonly #options: ExchangeOptions;
  /** In the order in which they were sent. */
  readonly #sent = new Map<number, Call>();
  readonly #waiting = new Set<Call>();
  #lastId = 0;
  /** Undefined while the connection is there; then why it is not, null when we ended it ourselves. */
  #ended: XenstoreError | null | undefined;

  constructor(options: ExchangeOptions) {
    this.#options = options;
  }

  /**
   * Sends a request and gives the payload of its answer. Rejects with `XenstoreError`: what xenstored says, ETIMEDOUT,
   * EUNAVAILABLE, E2BIG for what does not fit a message, EBUSY when too many wait.
   */
  ask(request: Request, { signal, onLate }: RequestOptions = {}): Promise<Buffer> {
    const why = this.#whyNot(request, signal);
    if (why !== null) return Promise.reject(why);
    return new Promise((resolve, reject) => {
      const call: Call = { request, onLate, waiter: null, id: 0 };
      const stopClock = this.#startClock(signal, (cause) => {
        this.#giveUp(call, cause);
      });
      call.waiter = { resolve, reject, stopClock };
      this.#waiting.add(call);
      this.#sendMore();
    });
  }

  /** Takes an answer. Throws `XenstoreError` (EPROTO) when it answers nothing that was asked. */
  take(frame: Frame): void {
    const call = this.#asked(frame);
    if (call === undefined) {
      throw brokenProtocol(`an answer (${frame.operation}, id ${frame.requestId}) came to a request that was not made`);
    }
    const { request } = call;
    if (frame.operation !== request.operation && frame.operation !== 'ERROR') {
      throw brokenProtocol(`${named(request)} was answered with ${frame.operation}`);
    }
    this.#settle(call, frame);
    this.#sendMore();
  }

  /** The connection is gone: whatever waits is rejected with EUNAVAILABLE, and so is whatever comes. */
  end(why: XenstoreError | null): void {
    if (this.#ended !== undefined) return;
    this.#ended = why;
    const sent = [...this.#sent.values()];
    const waiting = [...this.#waiting];
    this.#sent.clear();
    this.#waiting.clear();
    for (const call of sent) release(call)?.reject(connectionGone(call.request, true, why));
    for (const call of waiting) release(call)?.reject(connectionGone(call.request, false, why));
  }

  #whyNot(request: Request, signal: AbortSignal | undefined): XenstoreError | null {
    const room = this.#options.transport.payloadBytesMax;
    if (this.#ended !== undefined) return connectionGone(request, false, this.#ended);
    if (signal?.aborted === true) return gaveUp(request, false, signal.reason);
    if (request.payload.length > room) return tooLarge(request, request.payload.length, room);
    if (this.#waiting.size < this.#options.waitingMax) return null;
    return tooMany(`${named(request)} was not sent: ${this.#waiting.size} requests to xenstored wait already`);
  }

  #startClock(signal: AbortSignal | undefined, giveUp: (cause: unknown) => void): () => void {
    if (signal === undefined) {
      const { clock, limit } = this.#options;
      const timer = clock.timer(() => {
        giveUp(`the limit of ${limit} ms passed`);
      });
      timer.set(limit);
      return () => {
        timer.clear();
      };
    }
    const onAbort = (): void => {
      giveUp(signal.reason);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    return () => {
      signal.removeEventListener('abort', onAbort);
    };
  }

  #giveUp(call: Call, cause: unknown): void {
    const wasSent = !this.#waiting.delete(call);
    release(call)?.reject(gaveUp(call.request, wasSent, cause));
  }

  #sendMore(): void {
    for (const call of this.#waiting) {
      if (this.#sent.size >= this.#options.outstandingMax) return;
      this.#waiting.delete(call);
      call.id = this.#freeId();
      this.#sent.set(call.id, call);
      const { operation, transactionId = 0, payload } = call.request;
      const message = encodeFrame({ operation, requestId: call.id, transactionId, payload });
      this.#options.transport.send(message, (why) => {
        this.#refuse(call, why);
      });
    }
  }

  /** Ids run from 1 and begin again after the largest; one that is still in use is left out. 0 belongs to watch events. */
  #freeId(): number {
    const { idMax = ID_MAX } = this.#options;
    do {
      this.#lastId = this.#lastId >= idMax ? 1 : this.#lastId + 1;
    } while (this.#sent.has(this.#lastId));
    return this.#lastId;
  }

  /** The transport did not take the message, and there will be no answer. */
  #refuse(call: Call, why: unknown): void {
    if (!this.#sent.delete(call.id)) return;
    release(call)?.reject(notTaken(call.request, why));
    this.#sendMore();
  }

  #asked({ operation, requestId }: Frame): Call | undefined {
    const call = this.#sent.get(requestId);
    if (call !== undefined || requestId !== 0 || this.#options.transport.answersWatchesById) return call;
    if (operation !== 'WATCH' && operation !== 'UNWATCH') return undefined;
    return [...this.#sent.values()].find((sent) => sent.request.operation === operation);
  }

  #settle(call: Call, { operation, payload }: Frame): void {
    this.#sent.delete(call.id);
    const waiter = release(call);
    if (operation === 'ERROR') waiter?.reject(refused(call.request, wordOf(payload)));
    else if (waiter === null) call.onLate?.(payload);
    else waiter.resolve(payload);
  }
}

/** Takes the waiter from a call, so that it is answered once. */
function release(call: Call): Waiter | null {
  const { waiter } = call;
  call.waiter = null;
  waiter?.stopClock();
  return waiter;
}

/** The word of an error, up to its NUL. */
const wordOf = (payload: Buffer): string => payload.toString('latin1').split('\0', 1)[0] ?? '';
