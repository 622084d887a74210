/**
 * Commands over as few sessions as will do. One does, as long as commands are answered at once; while one is held up, by a domain whose
 * QEMU does not answer, others go on over another session. Commands are begun in the order in which they come. It does not know what
 * the commands do.
 */
import { setMaxListeners } from 'node:events';
import type { Clock } from '../control/ports.js';
import type { Millis } from '../units.js';
import { closedByUs, givenUp, tooMany, type VirshError } from './errors.js';
import type { Session } from './session.js';

export interface SessionsOptions {
  readonly clock: Clock;
  readonly open: () => Session;
  /** Most sessions at once, 1 or more. */
  readonly sessionsMax: number;
  /** A command that takes longer holds up nobody else. */
  readonly patience: Millis;
  /** A command that takes longer is ended, with its session. */
  readonly limit: Millis;
  /** A session has ended though none of its commands took too long. */
  readonly onEnd: (why: VirshError) => void;
}

/** More than four commands for each of a thousand domains. */
const WAITING_MAX = 4_096;

interface Waiting {
  readonly line: string;
  readonly resolve: (lines: readonly string[]) => void;
  readonly reject: (error: unknown) => void;
  /** It does not wait any more. */
  readonly end: () => void;
}

interface Seat {
  readonly session: Session;
  state: 'free' | 'busy' | 'held-up';
}

export class Sessions {
  readonly #options: SessionsOptions;
  readonly #seats = new Set<Seat>();
  #waiting: Waiting[] = [];
  #isClosed = false;

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  /** Process ids of the sessions that there are. */
  get pids(): readonly number[] {
    return [...this.#seats].flatMap(({ session }) => session.pid ?? []);
  }

  /**
   * Runs a command as soon as a session is free. When `signal` is aborted before it is not run, and rejects at once: whoever waits for it
   * keeps others waiting. Once it is begun it goes on to its end. Rejects with `VirshError`.
   */
  run(line: string, signal: AbortSignal): Promise<readonly string[]> {
    if (this.#isClosed) return Promise.reject(closedByUs());
    if (signal.aborted) return Promise.reject(givenUp(line));
    if (this.#waiting.length >= WAITING_MAX) return Promise.reject(tooMany(line, this.#waiting.length));
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting = this.#waiting.filter((one) => one !== waiting);
        reject(givenUp(line));
      };
      const end = (): void => {
        signal.removeEventListener('abort', onAbort);
      };
      const waiting: Waiting = { line, reject, resolve, end };
      // From the eleventh that waits with the same signal on Node.js would warn of a leak that is none.
      setMaxListeners(0, signal);
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(waiting);
      this.#begin();
    });
  }

  /** Ends all of them. What waits is not begun any more. */
  close(): void {
    this.#isClosed = true;
    for (const { session } of this.#seats) session.close();
    this.#seats.clear();
    for (const { reject, end } of this.#waiting.splice(0)) {
      end();
      reject(closedByUs());
    }
  }

  #begin(): void {
    while (this.#waiting.length > 0) {
      const seat = this.#freeSeat();
      if (seat === null) return;
      const next = this.#waiting.shift();
      if (next === undefined) return;
      next.end();
      void this.#run(seat, next);
    }
  }

  #freeSeat(): Seat | null {
    const seats = [...this.#seats];
    const free = seats.find(({ state }) => state === 'free');
    if (free !== undefined) return free;
    const mayOpen = seats.length < this.#options.sessionsMax && seats.every(({ state }) => state === 'held-up');
    return mayOpen ? this.#open() : null;
  }

  #open(): Seat {
    const seat: Seat = { session: this.#options.open(), state: 'free' };
    this.#seats.add(seat);
    void seat.session.ended.then((why) => {
      if (!this.#seats.delete(seat)) return;
      if (why.virshCode !== 'ETIMEDOUT') this.#options.onEnd(why);
      if (!this.#isClosed) this.#begin();
    });
    return seat;
  }

  async #run(seat: Seat, { line, resolve, reject }: Waiting): Promise<void> {
    const { clock, patience, limit } = this.#options;
    seat.state = 'busy';
    const timer = clock.timer(() => {
      seat.state = 'held-up';
      this.#begin();
    });
    timer.set(patience);
    try {
      resolve(await seat.session.run(line, { limit }));
    } catch (error) {
      reject(error);
    } finally {
      timer.clear();
      this.#free(seat);
    }
  }

  /** One that was opened because others were held up is not kept for the next time. */
  #free(seat: Seat): void {
    // What waits is not for a session that has ended: it begins with the word of that end.
    if (seat.session.hasEnded) return;
    seat.state = 'free';
    const others = [...this.#seats].filter((other) => other !== seat);
    if (others.some(({ state }) => state !== 'held-up')) {
      this.#seats.delete(seat);
      seat.session.close();
    }
    this.#begin();
  }
}
