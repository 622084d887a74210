/** The ends of waits: when their time is up, or their callers give up. */
import type { Clock, Timer } from '../control/ports.js';
import { addMillis, millis, type Millis } from '../units.js';

export interface Deadline {
  readonly clock: Clock;
  /** 0 or more. */
  readonly limit: Millis;
  readonly signal?: AbortSignal | undefined;
}

/** Calls `giveUp` with the reason, once, unless what it returns was called before. */
export function startDeadline({ clock, limit, signal }: Deadline, giveUp: (cause: unknown) => void): () => void {
  const onAbort = (): void => {
    stop();
    giveUp(signal?.reason);
  };
  const timer = clock.timer(() => {
    stop();
    giveUp(`the limit of ${limit} ms passed`);
  });
  const stop = (): void => {
    timer.clear();
    signal?.removeEventListener('abort', onAbort);
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  timer.set(limit);
  return stop;
}

/** Takes it out, where it is in it, and says whether it was. Makes nothing new. */
export function removeFrom<T>(list: T[], one: T): boolean {
  const place = list.indexOf(one);
  if (place === -1) return false;
  list.copyWithin(place, place + 1);
  list.pop();
  return true;
}

interface Wait {
  readonly endsAt: Millis;
  readonly giveUp: () => void;
}

/**
 * The time limits of many waits, with one timer for all of them: nearly every wait ends long before its limit, and setting a timer and
 * clearing it again each time costs more than what is waited for.
 */
export class TimeLimits {
  readonly #clock: Clock;
  readonly #timer: Timer;
  /** In the order in which they began. A handful: a set, with what is deleted from it, is made anew every few waits. */
  readonly #waits: Wait[] = [];
  /** When the timer goes off; at that time there may be nothing to do. Null: it is not set. */
  #ringsAt: Millis | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#timer = clock.timer(() => {
      this.#ring();
    });
  }

  /** Calls `giveUp` when `limit`, 0 or more, has passed, once, unless what it returns was called before. */
  start(limit: Millis, giveUp: () => void): () => void {
    const now = this.#clock.now();
    const wait = { endsAt: addMillis(now, limit), giveUp };
    this.#waits.push(wait);
    if (this.#ringsAt === null || wait.endsAt < this.#ringsAt) this.#set(wait.endsAt, now);
    return () => {
      removeFrom(this.#waits, wait);
    };
  }

  /** Ends all of them without a word. */
  close(): void {
    this.#waits.length = 0;
    this.#timer.clear();
    this.#ringsAt = null;
  }

  #set(at: Millis, now: Millis): void {
    this.#ringsAt = at;
    this.#timer.set(millis(Math.max(0, at - now)));
  }

  #ring(): void {
    this.#ringsAt = null;
    const now = this.#clock.now();
    const ended = this.#waits.filter(({ endsAt }) => endsAt <= now);
    for (const wait of ended) removeFrom(this.#waits, wait);
    const next = Math.min(...this.#waits.map(({ endsAt }) => endsAt));
    if (Number.isFinite(next)) this.#set(millis(next), now);
    for (const { giveUp } of ended) giveUp();
  }
}
