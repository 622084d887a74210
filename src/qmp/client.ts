/**
 * A client of one QEMU over any transport: greets, then sends commands without waiting for the answers to earlier ones, and hands on
 * events as they come. It does not connect again by itself: only the caller knows what is to be done then.
 */
import { Allowance } from '../connection/allowance.js';
import type { Clock, Timer } from '../control/ports.js';
import { errorText } from '../errors.js';
import { millis, type Millis } from '../units.js';
import { decodeVersion, type QemuVersion } from './answers.js';
import { startDeadline } from './deadline.js';
import { brokenProtocol, connectionGone, noGreeting, QmpError } from './errors.js';
import { Exchange, type ExecuteOptions } from './exchange.js';
import type { JsonObject } from './fields.js';
import { LINE_BYTES_MAX, LineDecoder } from './line-decoder.js';
import { decodeMessage, type Message, type QmpArguments, type QmpEvent } from './message.js';
import type { Transport } from './transport.js';

/** Who hears of events. */
export interface EventListener {
  /** Called at once with each event, and done with it on return: none is kept here. May be called before `openQmp` resolves. */
  readonly onEvent: (event: QmpEvent) => void;
  /** Told what `onEvent` throws. */
  readonly onError: (error: unknown) => void;
}

export interface QmpOptions {
  readonly clock: Clock;
  /** The time limit of commands that have none of their own. Default 5 s. */
  readonly limit?: Millis;
  /** How long the greeting is waited for. Default 5 s. */
  readonly greetingLimit?: Millis;
  /** Commands under way at once, 1 or more. Default 8. */
  readonly inFlightMax?: number;
  /** Commands that wait to be sent; further ones are refused with EBUSY. Default 128. */
  readonly waitingMax?: number;
  /** Default: events are dropped. */
  readonly events?: EventListener;
}

/** What came and was of no use, since the beginning. */
export interface QmpCounts {
  /** Answers that came after their callers had given up. */
  readonly lateAnswers: number;
  /** Answers to nothing that was asked, also those without an id or with one of another type, and objects that are no message. */
  readonly strayMessages: number;
  /** Events for which the listener threw. */
  readonly failedEvents: number;
}

/** Why a connection ended. */
export type QmpEnd = { readonly kind: 'closed' } | { readonly kind: 'lost'; readonly error: QmpError };

export interface Qmp {
  /** As QEMU said in its greeting; null where it did not say so. */
  readonly version: QemuVersion | null;
  /** Whether commands can be sent: it has greeted, and the connection has not ended. */
  readonly isReady: boolean;
  readonly counts: QmpCounts;
  /** The process that listens at the other end, QEMU's as a rule; null: not known. */
  readonly peerPid: () => number | null;
  /**
   * Sends a command and gives what QEMU returns, for a decoder of `answers.ts`. Rejects with `QmpError`: EREFUSED, ETIMEDOUT,
   * EUNAVAILABLE, EINVAL for what cannot be sent, EBUSY when too much waits. `mayHaveHappened` says whether it was sent.
   */
  readonly execute: (command: string, args?: QmpArguments, options?: ExecuteOptions) => Promise<unknown>;
  /** Resolves when the connection has ended. Never rejects. */
  readonly closed: Promise<QmpEnd>;
  /** Ends the connection; commands under way reject with EUNAVAILABLE. It may be called again. */
  readonly close: () => Promise<void>;
}

/**
 * The specification asks for eight commands in flight at most, which is as many as QEMU queues where commands out of band are enabled
 * (`QMP_REQ_QUEUE_LEN_MAX` in its `monitor/`). Where they are not, as here, it takes one at a time and suspends its monitor meanwhile:
 * it reads no further, and what was sent besides waits in the socket.
 */
export const IN_FLIGHT_MAX = 8;
const WAITING_MAX = 128;
/** QEMU answers in less than a millisecond, unless it is stopped or its main loop is held up, as by a slow disk. */
const LIMIT = millis(5_000);
/**
 * Two of the longest lines. A monitor that answers us sends a few KiB a second, and one that is met for the first time a few hundred; whoever sends
 * without end must not keep us from the others.
 */
export const BYTES_PER_SECOND_MAX = 2 * LINE_BYTES_MAX;

/**
 * Begins to speak with a QEMU over `transport`, and closes it in the end, also when this rejects. Rejects with `QmpError`: ETIMEDOUT
 * when it does not greet or `signal` is aborted, EPROTO when something else comes, EUNAVAILABLE when it ends the connection.
 */
export async function openQmp(transport: Transport, options: QmpOptions, signal: AbortSignal): Promise<Qmp> {
  const session = new Session(transport, options);
  try {
    await session.begin(signal);
    return session;
  } catch (error) {
    await session.close();
    throw error;
  }
}

interface Waiter {
  readonly resolve: (greeting: JsonObject) => void;
  readonly reject: (why: QmpError) => void;
}

class Session implements Qmp {
  version: QemuVersion | null = null;
  readonly closed: Promise<QmpEnd>;
  readonly #transport: Transport;
  readonly #options: QmpOptions;
  readonly #exchange: Exchange;
  readonly #decoder = new LineDecoder();
  readonly #bytes: Allowance;
  readonly #pausing: Timer;
  #greeting: Waiter | null = null;
  #hasGreeted = false;
  #isReady = false;
  #hasEnded = false;
  #unknownMessages = 0;
  #failedEvents = 0;
  #tellEnd: (end: QmpEnd) => void = () => undefined;

  constructor(transport: Transport, options: QmpOptions) {
    const { clock, limit = LIMIT, inFlightMax = IN_FLIGHT_MAX, waitingMax = WAITING_MAX } = options;
    this.#transport = transport;
    this.#options = options;
    this.#exchange = new Exchange({ transport, clock, limit, inFlightMax, waitingMax });
    this.#bytes = new Allowance(BYTES_PER_SECOND_MAX, () => clock.now());
    this.#pausing = clock.timer(() => {
      transport.resume();
    });
    this.closed = new Promise((resolve) => (this.#tellEnd = resolve));
  }

  get isReady(): boolean {
    return this.#isReady && !this.#hasEnded;
  }

  get counts(): QmpCounts {
    const { lateAnswers, strayAnswers } = this.#exchange;
    return { lateAnswers, strayMessages: strayAnswers + this.#unknownMessages, failedEvents: this.#failedEvents };
  }

  /** Waits for the greeting and leaves the phase of negotiation, in which QEMU takes no other command. Nothing is enabled. */
  async begin(signal: AbortSignal): Promise<void> {
    const greeting = await this.#greet(signal);
    this.version = decodeVersion(greeting['version']);
    await this.#exchange.execute('qmp_capabilities', undefined, { signal });
    this.#isReady = true;
  }

  readonly execute: Qmp['execute'] = (command, args, options) => this.#exchange.execute(command, args, options);

  readonly peerPid = (): number | null => this.#transport.peerPid();

  readonly close = (): Promise<void> => this.#end({ kind: 'closed' });

  #greet(signal: AbortSignal): Promise<JsonObject> {
    const { clock, greetingLimit: limit = LIMIT } = this.#options;
    const at = this.#transport.description;
    return new Promise((resolve, reject) => {
      if (signal.aborted) throw noGreeting(at, signal.reason);
      const stopClock = startDeadline({ clock, limit, signal }, (cause) => {
        reject(noGreeting(at, cause));
      });
      this.#greeting = {
        resolve: (greeting) => {
          stopClock();
          resolve(greeting);
        },
        reject: (why) => {
          stopClock();
          reject(why);
        },
      };
      this.#transport.start({
        onBytes: (chunk) => {
          this.#receive(chunk);
        },
        onLost: (error) => {
          void this.#end({ kind: 'lost', error });
        },
      });
    });
  }

  #receive(chunk: Uint8Array): void {
    try {
      this.#decoder.push(chunk, (line) => {
        if (!this.#hasEnded) this.#take(decodeMessage(line));
      });
    } catch (error) {
      const why = error instanceof QmpError ? error : brokenProtocol(errorText(error));
      void this.#end({ kind: 'lost', error: why });
      return;
    }
    this.#pace(chunk.length);
  }

  #pace(bytes: number): void {
    this.#bytes.spend(bytes);
    const { wait } = this.#bytes;
    if (wait === 0 || this.#hasEnded) return;
    this.#transport.pause();
    this.#pausing.set(wait);
  }

  #take(message: Message): void {
    if (message.kind === 'greeting') this.#takeGreeting(message.greeting);
    else if (!this.#hasGreeted) throw brokenProtocol('something else than a greeting came first');
    else if (message.kind === 'event') this.#tell(message.event);
    else if (message.kind === 'unknown') this.#unknownMessages += 1;
    else this.#exchange.take(message);
  }

  #takeGreeting(greeting: JsonObject): void {
    if (this.#hasGreeted) throw brokenProtocol('a second greeting came');
    this.#hasGreeted = true;
    this.#greeting?.resolve(greeting);
  }

  #tell(event: QmpEvent): void {
    const { events } = this.#options;
    if (events === undefined) return;
    try {
      events.onEvent(event);
    } catch (error) {
      this.#failedEvents += 1;
      tellFailure(events, error);
    }
  }

  #end(end: QmpEnd): Promise<void> {
    if (!this.#hasEnded) {
      this.#hasEnded = true;
      this.#pausing.clear();
      const why = end.kind === 'lost' ? end.error : null;
      this.#greeting?.reject(
        why ?? connectionGone({ command: 'the greeting', at: this.#transport.description }, false, null),
      );
      this.#exchange.end(why);
      this.#tellEnd(end);
    }
    return this.#transport.close();
  }
}

/** Whoever is told of a failure may fail too. It has been counted, and must not be taken for a fault of QEMU's. */
function tellFailure(events: EventListener, error: unknown): void {
  try {
    events.onError(error);
  } catch {
    // There is nobody left to tell.
  }
}
