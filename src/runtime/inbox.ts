/** The loop's queue of events: bounded, and waited for together with the clock. */
import type { Event } from '../control/events.js';
import type { Clock, Timer } from '../control/ports.js';
import { millis, type Millis } from '../units.js';

/**
 * Most events that may wait. A guest has at most a look and a few requests under way, so a thousand guests fill a twentieth.
 * Only a fault of ours fills it.
 */
export const INBOX_MAX = 65_536;

export class Inbox {
  readonly #clock: Clock;
  readonly #timer: Timer;
  #events: Event[] = [];
  #wake: (() => void) | null = null;
  /** For when the timer is set; null: it is not. */
  #wakeAt: Millis | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#timer = clock.timer(() => {
      if (!this.#isEarly()) this.#wake?.();
    });
  }

  /** Puts an event in; false when the queue is full, and then the event is lost. */
  post(event: Event): boolean {
    if (this.#events.length >= INBOX_MAX) return false;
    this.#events.push(event);
    this.#wake?.();
    return true;
  }

  get isEmpty(): boolean {
    return this.#events.length === 0;
  }

  take(): readonly Event[] {
    const taken = this.#events;
    this.#events = [];
    return taken;
  }

  /**
   * Waits for an event, for the clock to reach `at` (null = for ever), or for `signal`. Events that came together are all there
   * afterwards: each turn of the loop looks at every guest, and one for each answer of a round would cost more than the answers.
   */
  async wait(at: Millis | null, signal: AbortSignal): Promise<void> {
    if (this.#events.length > 0 || signal.aborted) return;
    const onAbort = (): void => this.#wake?.();
    signal.addEventListener('abort', onAbort, { once: true });
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      this.#setTimer(at);
    });
    this.#wake = null;
    this.#timer.clear();
    signal.removeEventListener('abort', onAbort);
    if (this.#events.length > 0) await this.#clock.gather();
  }

  #setTimer(at: Millis | null): void {
    this.#wakeAt = at;
    if (at !== null) this.#timer.set(millis(Math.max(0, at - this.#clock.now())));
  }

  /** A real timer may go off a little before its time, and one that is longer than timers can be goes off long before. */
  #isEarly(): boolean {
    const at = this.#wakeAt;
    if (at === null || this.#clock.now() >= at) return false;
    this.#setTimer(at);
    return true;
  }
}
