/**
 * A clock that stands still until it is moved. Moving it fires the timers on the way in their order, and after each one lets
 * everything that was waiting for it run, until nothing more can; so what happens does not depend on how fast the machine is.
 */
import { setMaxListeners } from 'node:events';
import type { Clock, Timer } from '../control/ports.js';
import { addMillis, millis, type Millis } from '../units.js';
import { TimerQueue, type QueuedTimer } from './timer-queue.js';

/** More timers than this at one instant means that they set each other for ever. */
const TIMERS_AT_ONE_INSTANT_MAX = 1_000_000;

/** Virtual time; see the header. Starts at `startAt`, 0 ms by default. */
export class VirtualClock implements Clock {
  readonly #timers = new TimerQueue();
  /** Time limits by when they end: all calls of one round share one. */
  readonly #limits = new Map<Millis, AbortSignal>();
  #now: Millis;
  #isMoving = false;

  constructor(startAt: Millis = millis(0)) {
    this.#now = startAt;
  }

  now(): Millis {
    return this.#now;
  }

  /** When the next timer is due; null when nobody waits. */
  get nextTimerAt(): Millis | null {
    return this.#timers.peek()?.at ?? null;
  }

  sleepUntil(at: Millis, signal: AbortSignal): Promise<void> {
    if (at <= this.#now || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const onAbort = (): void => {
        this.#timers.cancel(timer);
        resolve();
      };
      const timer = this.#timers.add(at, () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      });
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  timeLimit(length: Millis): AbortSignal {
    const at = addMillis(this.#now, length);
    if (length <= 0) return AbortSignal.abort();
    const shared = this.#limits.get(at);
    if (shared !== undefined) return shared;
    const controller = new AbortController();
    // As with the real clock: from the eleventh call on Node.js would warn of a leak that is none.
    setMaxListeners(0, controller.signal);
    this.#limits.set(at, controller.signal);
    this.#timers.add(at, () => {
      this.#limits.delete(at);
      controller.abort();
    });
    return controller.signal;
  }

  timer(run: () => void): Timer {
    let set: QueuedTimer | null = null;
    const clear = (): void => {
      if (set !== null) this.#timers.cancel(set);
      set = null;
    };
    const goOff = (): void => {
      set = null;
      run();
    };
    return {
      set: (length) => {
        clear();
        set = this.#timers.add(addMillis(this.#now, length), goOff);
      },
      clear,
    };
  }

  /** Nothing comes from outside of virtual time. */
  gather(): Promise<void> {
    return Promise.resolve();
  }

  /**
   * Moves to `at`, firing what is due on the way. Throws `RangeError` when `at` is in the past, when the clock is being moved
   * already, or when timers set each other at one instant without end.
   */
  async advanceTo(at: Millis): Promise<void> {
    if (at < this.#now) throw new RangeError(`the clock cannot go back from ${this.#now} ms to ${at} ms`);
    if (this.#isMoving) throw new RangeError('the clock is being moved already');
    this.#isMoving = true;
    try {
      await continuations();
      for (let timer = this.#timers.peek(); timer !== null && timer.at <= at; timer = this.#timers.peek()) {
        await this.#fireInstant(timer.at);
      }
      this.#now = at;
    } finally {
      this.#isMoving = false;
    }
  }

  async #fireInstant(at: Millis): Promise<void> {
    if (at > this.#now) this.#now = at;
    for (let fired = 0; this.nextTimerAt === at; fired += 1) {
      if (fired >= TIMERS_AT_ONE_INSTANT_MAX) throw new RangeError(`timers at ${at} ms set each other without end`);
      this.#timers.fireNext();
      await continuations();
    }
  }
}

/** Resolves when every promise continuation that can run has run: they all go before an immediate. */
const continuations = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
