/**
 * Commands over as few sessions as will do. One does, as long as commands are answered at once; while one is held up, by a domain whose
 * QEMU does not answer, others go on over another session. Commands are begun in the order in which they come, but where some are known to
 * be slow: those have a few sessions at most. It does not know what the commands do.
 */
import { setMaxListeners } from 'node:events';
import type { Clock, Timer } from '../control/ports.js';
import type { Millis } from '../units.js';
import { closedByUs, givenUp, tooMany, type VirshError } from './errors.js';
import type { Session } from './session.js';

/** How one virsh is used. */
export type OneSession = Pick<Session, 'pid' | 'hasEnded' | 'ended' | 'run' | 'close'>;

export interface SessionsOptions {
  readonly clock: Clock;
  readonly open: () => OneSession;
  /** Most sessions at once, 1 or more. */
  readonly sessionsMax: number;
  /** A command that takes longer holds up nobody else. */
  readonly patience: Millis;
  /** A command that takes longer is ended, with its session. */
  readonly limit: Millis;
  /** A session has ended though none of its commands took too long. */
  readonly onEnd: (why: VirshError) => void;
  /** For commands that are many at once, or slow though nothing is wrong. Default: one session is used as long as none is held up. */
  readonly spread?: Spread;
}

/** How many commands at once are spread over sessions. */
export interface Spread {
  /** Most sessions that run what is slow. One at least does where something slow waits. */
  readonly slowMax: number;
  /** Another session is opened where more commands wait for each that there is. */
  readonly waitingMax: number;
  /** A session that nobody has needed for so long is ended, but for the last. */
  readonly idle: Millis;
}

/** What is known of one command. */
export interface Turn {
  /** It is likely to take longer than `patience`. Default false. */
  readonly isSlow?: boolean;
  /** Told when virsh has come to it. Must not throw. */
  readonly onBegun?: () => void;
}

/** More than four commands for each of a thousand domains. */
const WAITING_MAX = 4_096;

interface Waiting extends Turn {
  readonly line: string;
  readonly resolve: (lines: readonly string[]) => void;
  readonly reject: (error: unknown) => void;
  /** It does not wait any more. */
  readonly end: () => void;
}

interface Seat {
  readonly session: OneSession;
  /** Held up: what it runs is slow. */
  state: 'free' | 'busy' | 'held-up';
  /** Ends it when it was not used for long. */
  readonly idle: Timer;
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
  run(line: string, signal: AbortSignal, turn: Turn = {}): Promise<readonly string[]> {
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
      const waiting: Waiting = { ...turn, line, reject, resolve, end };
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
    for (const { session, idle } of this.#seats) {
      idle.clear();
      session.close();
    }
    this.#seats.clear();
    for (const { reject, end } of this.#waiting.splice(0)) {
      end();
      reject(closedByUs());
    }
  }

  #begin(): void {
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const seat = this.#freeSeat();
      if (seat === null) return;
      this.#waiting.splice(this.#waiting.indexOf(next), 1);
      next.end();
      void this.#run(seat, next);
    }
  }

  /** Whose turn it is; undefined: nobody's who waits. What is slow gets its first session before all others, and its last ones after them. */
  #next(): Waiting | undefined {
    const { spread } = this.#options;
    const [first] = this.#waiting;
    if (spread === undefined || first === undefined) return first;
    const slowCount = [...this.#seats].filter(({ state }) => state === 'held-up').length;
    const slow = slowCount < spread.slowMax ? this.#waiting.find(({ isSlow }) => isSlow === true) : undefined;
    const quick = this.#waiting.find(({ isSlow }) => isSlow !== true);
    return slowCount === 0 ? (slow ?? quick) : (quick ?? slow);
  }

  #freeSeat(): Seat | null {
    const seats = [...this.#seats];
    const free = seats.find(({ state }) => state === 'free');
    if (free !== undefined) return free;
    const { sessionsMax, spread } = this.#options;
    const isMuch = spread !== undefined && this.#waiting.length > spread.waitingMax * seats.length;
    const mayOpen = seats.length < sessionsMax && (isMuch || seats.every(({ state }) => state === 'held-up'));
    return mayOpen ? this.#open() : null;
  }

  #open(): Seat {
    const { clock, open } = this.#options;
    const idle = clock.timer(() => {
      if (seat.state === 'free' && this.#seats.size > 1) this.#end(seat);
    });
    const seat: Seat = { session: open(), state: 'free', idle };
    this.#seats.add(seat);
    void seat.session.ended.then((why) => {
      idle.clear();
      if (!this.#seats.delete(seat)) return;
      if (why.virshCode !== 'ETIMEDOUT') this.#options.onEnd(why);
      if (!this.#isClosed) this.#begin();
    });
    return seat;
  }

  async #run(seat: Seat, { line, resolve, reject, isSlow, onBegun }: Waiting): Promise<void> {
    const { clock, patience, limit } = this.#options;
    seat.state = isSlow === true ? 'held-up' : 'busy';
    seat.idle.clear();
    const timer = clock.timer(() => {
      seat.state = 'held-up';
      this.#begin();
    });
    timer.set(patience);
    try {
      resolve(await seat.session.run(line, { limit, ...(onBegun === undefined ? {} : { onBegun }) }));
    } catch (error) {
      reject(error);
    } finally {
      timer.clear();
      this.#free(seat);
    }
  }

  /** One that was opened because others were held up is not kept for the next time, unless there often is one. */
  #free(seat: Seat): void {
    // What waits is not for a session that has ended: it begins with the word of that end.
    if (seat.session.hasEnded) return;
    seat.state = 'free';
    const { spread } = this.#options;
    const others = [...this.#seats].filter((other) => other !== seat);
    if (spread !== undefined) seat.idle.set(spread.idle);
    else if (others.some(({ state }) => state !== 'held-up')) this.#end(seat);
    this.#begin();
  }

  #end(seat: Seat): void {
    this.#seats.delete(seat);
    seat.session.close();
  }
}
