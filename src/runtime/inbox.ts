/** The loop's queue of events: bounded, and waited for together with the clock. */
import type { Event } from '../control/events.js';
import type { Clock } from '../control/ports.js';
import { millis, type Millis } from '../units.js';

/**
 * Most events that may wait. A guest has at most a look and a few requests under way, so a thousand guests fill a twentieth.
 * Only a fault of ours fills it.
 */
export const INBOX_MAX = 65_536;

const FOREVER = millis(Number.MAX_SAFE_INTEGER);

export class Inbox {
  #events: Event[] = [];
  #wake: (() => void) | null = null;

  /** Puts an event in; false when the queue is full, and then the event is lost. */
  post(event: Event): boolean {
    if (this.#events.length >= INBOX_MAX) return false;
    this.#events.push(event);
    this.#wake?.();
    return true;
  }

  take(): readonly Event[] {
    const taken = this.#events;
    this.#events = [];
    return taken;
  }

  /** Waits for an event, for the clock to reach `at` (null = for ever), or for `signal`. */
  async wait(clock: Clock, at: Millis | null, signal: AbortSignal): Promise<void> {
    if (this.#events.length > 0 || signal.aborted) return;
    const ended = new AbortController();
    const arrived = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    const onAbort = (): void => this.#wake?.();
    signal.addEventListener('abort', onAbort, { once: true });
    await Promise.race([arrived, clock.sleepUntil(at ?? FOREVER, ended.signal)]);
    this.#wake = null;
    signal.removeEventListener('abort', onAbort);
    ended.abort();
  }
}
