/**
 * Commands and their answers on one connection. Several may be under way at once; each answer finds its command by its id, in
 * whatever order they come. It does not know what a command means.
 *
 * A command that its caller has given up on keeps its place until the answer comes, and then the answer is dropped. So a stopped QEMU
 * is not sent ever more, and most of what is asked of it meanwhile is known not to have happened.
 */
import type { Clock } from '../control/ports.js';
import type { Millis } from '../units.js';
import { removeFrom, TimeLimits } from './deadline.js';
import { connectionGone, gaveUp, notTaken, refused, tooMany, type QmpError, type Subject } from './errors.js';
import { encodeCommand, type Message, type QmpArguments } from './message.js';
import type { Transport } from './transport.js';

export interface ExecuteOptions {
  /** Gives up when it is aborted. */
  readonly signal?: AbortSignal | undefined;
  /** Gives up when so much time has passed. Default: the client's own limit. */
  readonly limit?: Millis | undefined;
}

export interface ExchangeOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  /** How many commands may be unanswered; further ones wait. 1 or more. */
  readonly inFlightMax: number;
  /** How many may wait; further ones are refused with EBUSY. */
  readonly waitingMax: number;
  /** The time limit of commands that have none of their own. */
  readonly limit: Millis;
}

export type Answer = Extract<Message, { readonly kind: 'return' | 'error' }>;

interface Call extends Subject {
  readonly id: number;
  readonly line: Buffer;
  /** Null when nobody waits for the answer any more. */
  waiter: Waiter | null;
}

interface Waiter {
  readonly resolve: (value: unknown) => void;
  readonly reject: (why: QmpError) => void;
  /** Ends its time limit, and that its caller may give up. */
  readonly stop: () => void;
}

export class Exchange {
  readonly #options: ExchangeOptions;
  readonly #limits: TimeLimits;
  /** In the order in which they were sent; never more than may be in flight. */
  readonly #sent: Call[] = [];
  /** In the order in which they are to be sent. */
  readonly #waiting: Call[] = [];
  #lastId = 0;
  /** Undefined while the connection is there; then why it is not, null when we ended it ourselves. */
  #ended: QmpError | null | undefined;
  /** Answers that came after their callers had given up. */
  lateAnswers = 0;
  /** Answers to nothing that was asked. */
  strayAnswers = 0;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    this.#limits = new TimeLimits(options.clock);
  }

  /**
   * Sends a command and gives what QEMU returns. Rejects with `QmpError`: EREFUSED, ETIMEDOUT, EUNAVAILABLE, EINVAL for what cannot be
   * sent, EBUSY when too many wait.
   */
  execute(command: string, args?: QmpArguments, options: ExecuteOptions = {}): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const { transport, limit: usual } = this.#options;
      const { signal, limit = usual } = options;
      const subject = { command, at: transport.description };
      // What this throws rejects.
      const line = encodeCommand(command, args, this.#lastId + 1);
      const why = this.#whyNot(subject, signal);
      if (why !== null) throw why;
      // Written out, as all that is made for each command: a spread takes ten times as long (docs/decisions/0007).
      const call: Call = { command, at: subject.at, id: (this.#lastId += 1), line, waiter: null };
      call.waiter = { resolve, reject, stop: this.#watch(call, limit, signal) };
      this.#waiting.push(call);
      this.#sendMore();
    });
  }

  /** Takes an answer. One that nobody waits for is counted and dropped, as the protocol asks for. */
  take(answer: Answer): void {
    const { id } = answer;
    const call = this.#sent.find((sent) => sent.id === id);
    if (call === undefined) {
      this.strayAnswers += 1;
      return;
    }
    removeFrom(this.#sent, call);
    const waiter = release(call);
    if (waiter === null) this.lateAnswers += 1;
    else if (answer.kind === 'return') waiter.resolve(answer.value);
    else waiter.reject(refused(call, answer.errorClass, answer.description));
    this.#sendMore();
  }

  /** The connection is gone: whatever waits is rejected with EUNAVAILABLE, and so is whatever comes. */
  end(why: QmpError | null): void {
    if (this.#ended !== undefined) return;
    this.#ended = why;
    const [sent, waiting] = [this.#sent.splice(0), this.#waiting.splice(0)];
    for (const call of sent) release(call)?.reject(connectionGone(call, true, why));
    for (const call of waiting) release(call)?.reject(connectionGone(call, false, why));
    this.#limits.close();
  }

  #whyNot(subject: Subject, signal: AbortSignal | undefined): QmpError | null {
    if (this.#ended !== undefined) return connectionGone(subject, false, this.#ended);
    if (signal?.aborted === true) return gaveUp(subject, false, signal.reason);
    return this.#waiting.length < this.#options.waitingMax ? null : tooMany(subject, this.#waiting.length);
  }

  /** Gives up on a call when its time limit passes or `signal` is aborted. Returns how to end that. */
  #watch(call: Call, limit: Millis, signal: AbortSignal | undefined): () => void {
    const stopClock = this.#limits.start(limit, () => {
      this.#giveUp(call, `the limit of ${limit} ms passed`);
    });
    if (signal === undefined) return stopClock;
    const onAbort = (): void => {
      this.#giveUp(call, signal.reason);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    return () => {
      stopClock();
      signal.removeEventListener('abort', onAbort);
    };
  }

  #giveUp(call: Call, cause: unknown): void {
    const wasSent = !removeFrom(this.#waiting, call);
    release(call)?.reject(gaveUp(call, wasSent, cause));
  }

  #sendMore(): void {
    while (this.#sent.length < this.#options.inFlightMax) {
      const call = this.#waiting.shift();
      if (call === undefined) return;
      if (this.#options.transport.send(call.line)) this.#sent.push(call);
      else release(call)?.reject(notTaken(call));
    }
  }
}

/** Takes the waiter from a call, so that it is answered once. */
function release(call: Call): Waiter | null {
  const { waiter } = call;
  call.waiter = null;
  waiter?.stop();
  return waiter;
}
