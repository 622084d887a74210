/** The real clock: milliseconds since 1970 when the process started, then monotonic, so that setting the time moves nothing. */
import { setMaxListeners } from 'node:events';
import { performance } from 'node:perf_hooks';
import type { Clock, Timer } from '../control/ports.js';
import { millis, type Millis } from '../units.js';

/** `setTimeout` fires at once above this many milliseconds. */
const TIMEOUT_MAX = 2 ** 31 - 1;

/** Part of a time limit's length in which others may join it. */
const LIMIT_SHARED = 0.01;

interface SharedLimit {
  readonly signal: AbortSignal;
  /** In ms, as the process counts them. */
  readonly sharedUntil: number;
}

/** The machine's own time, in milliseconds since 1970, as it was at the start plus what has passed since: it never goes back. */
export class RealClock implements Clock {
  /** The latest of each length. */
  readonly #limits = new Map<Millis, SharedLimit>();

  now(): Millis {
    return millis(performance.timeOrigin + performance.now());
  }

  async sleepUntil(at: Millis, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.now() < at) {
      // Whole milliseconds, rounded up: a timer that fires early would make an idle loop spin.
      const length = Math.min(Math.ceil(at - this.now()), TIMEOUT_MAX);
      await sleep(length, signal);
    }
  }

  /**
   * Those of the same length that begin within a hundredth of it share one, which ends when the last of them may: on a host of many guests a
   * hundred and more begin each second, and nearly none is ever reached.
   *
   * Not `AbortSignal.timeout`: what it holds weakly outlives the fast collections, and an idle daemon's heap grows by it.
   */
  timeLimit(length: Millis): AbortSignal {
    const now = performance.now();
    const latest = this.#limits.get(length);
    if (latest !== undefined && now < latest.sharedUntil) return latest.signal;
    const sharing = length * LIMIT_SHARED;
    const signal = beginLimit(length + sharing);
    this.#limits.set(length, { signal, sharedUntil: now + sharing });
    return signal;
  }

  timer(run: () => void): Timer {
    return new RealTimer(run);
  }

  /** An immediate comes after everything that the event loop found to be ready when it last looked. */
  gather(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }
}

function beginLimit(length: number): AbortSignal {
  const limit = new AbortController();
  // All calls of a round share it: from the eleventh on Node.js would warn of a leak that is none.
  setMaxListeners(0, limit.signal);
  setTimeout(() => {
    limit.abort(OUT_OF_TIME);
  }, Math.ceil(length)).unref();
  return limit.signal;
}

/** One for all, for an error of its own costs a stack each time, and nobody reads it. */
const OUT_OF_TIME = new DOMException('The time limit has passed', 'TimeoutError');

/** Ends early, without an error, when `signal` is aborted: an error with its stack each round was a tenth of an idle daemon's work. */
function sleep(lengthMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, lengthMs);
    signal.addEventListener('abort', end, { once: true });
  });
}

/** Keeps Node.js' timer and winds it up again where the length is the same, which is what a steady watch asks for. */
class RealTimer implements Timer {
  readonly #run: () => void;
  #timeout: NodeJS.Timeout | null = null;
  #lengthMs = NaN;

  constructor(run: () => void) {
    this.#run = run;
  }

  set(length: Millis): void {
    const lengthMs = Math.min(Math.ceil(length), TIMEOUT_MAX);
    if (this.#timeout !== null && lengthMs === this.#lengthMs) {
      this.#timeout.refresh();
      return;
    }
    this.clear();
    this.#lengthMs = lengthMs;
    this.#timeout = setTimeout(this.#run, lengthMs);
  }

  clear(): void {
    if (this.#timeout !== null) clearTimeout(this.#timeout);
    this.#timeout = null;
  }
}
