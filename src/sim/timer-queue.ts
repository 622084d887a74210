/** Timers in the order in which they are due; those due at the same time in the order in which they were set. A binary heap. */
import type { Millis } from '../units.js';

export interface QueuedTimer {
  readonly at: Millis;
  /** Called once. Empty after it was cancelled. */
  fire: (() => void) | null;
}

interface Entry extends QueuedTimer {
  readonly order: number;
}

/** More sleepers than this are a leak: ten for each guest of the largest simulation. */
const TIMERS_MAX = 100_000;

export class TimerQueue {
  readonly #heap: Entry[] = [];
  #order = 0;
  #cancelled = 0;

  /** Adds a timer. Throws `RangeError` when there are too many. */
  add(at: Millis, fire: () => void): QueuedTimer {
    if (this.#heap.length >= TIMERS_MAX) throw new RangeError(`more than ${TIMERS_MAX} timers are waiting`);
    const entry: Entry = { at, fire, order: this.#order++ };
    this.#heap.push(entry);
    this.#rise(this.#heap.length - 1);
    return entry;
  }

  /** The timer will not fire. Cancelling twice, or after it fired, does nothing. */
  cancel(timer: QueuedTimer): void {
    if (timer.fire === null) return;
    timer.fire = null;
    this.#cancelled += 1;
    if (this.#cancelled > 64 && this.#cancelled * 2 > this.#heap.length) this.#sweep();
  }

  /** The next timer, left where it is; null when there is none. */
  peek(): QueuedTimer | null {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined) return null;
      if (first.fire !== null) return first;
      this.#cancelled -= 1;
      this.#removeFirst();
    }
  }

  /** Takes the next timer off the queue and fires it. False when there is none. */
  fireNext(): boolean {
    const timer = this.peek();
    if (timer === null) return false;
    this.#removeFirst();
    const { fire } = timer;
    timer.fire = null;
    fire?.();
    return true;
  }

  #sweep(): void {
    const live = this.#heap.filter((entry) => entry.fire !== null).sort((a, b) => (isBefore(a, b) ? -1 : 1));
    this.#heap.splice(0, this.#heap.length, ...live);
    this.#cancelled = 0;
  }

  #removeFirst(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink();
  }

  #rise(from: number): void {
    let at = from;
    while (at > 0) {
      const parent = Math.floor((at - 1) / 2);
      if (!this.#swapIfBefore(at, parent)) return;
      at = parent;
    }
  }

  #sink(): void {
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const smaller = this.#smallerOf(left, left + 1);
      if (smaller === null || !this.#swapIfBefore(smaller, at)) return;
      at = smaller;
    }
  }

  #smallerOf(left: number, right: number): number | null {
    const a = this.#heap[left];
    const b = this.#heap[right];
    if (a === undefined) return null;
    return b !== undefined && isBefore(b, a) ? right : left;
  }

  #swapIfBefore(lower: number, upper: number): boolean {
    const below = this.#heap[lower];
    const above = this.#heap[upper];
    if (below === undefined || above === undefined || !isBefore(below, above)) return false;
    this.#heap[lower] = above;
    this.#heap[upper] = below;
    return true;
  }
}

const isBefore = (a: Entry, b: Entry): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);
