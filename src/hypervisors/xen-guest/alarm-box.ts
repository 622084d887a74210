/**
 * Holds the alarm that nobody has taken yet. There is never more than one: what comes meanwhile is merged into it, for whoever
 * takes it late needs to know what is so now, not how often it was said.
 */
import type { Alarm } from '../../control/alarm.js';

/** The newer alarm, with the graver cause of the two and with what only the older one knew. */
export function mergeAlarms(older: Alarm, newer: Alarm): Alarm {
  const hasNumbers = newer.availablePages !== null && newer.totalPages !== null;
  const { availablePages, totalPages } = hasNumbers ? newer : older;
  const cause = older.cause === 'stalled' ? older.cause : newer.cause;
  return { cause, at: newer.at, availablePages, totalPages };
}

export class AlarmBox {
  #alarm: Alarm | null = null;
  #wake: (() => void) | null = null;

  /** Never fills up, never waits. */
  put(alarm: Alarm): void {
    this.#alarm = this.#alarm === null ? alarm : mergeAlarms(this.#alarm, alarm);
    this.#wake?.();
  }

  /** The alarm that was put or merged, at once or as soon as there is one; null when `signal` is aborted. One taker at a time. */
  async take(signal: AbortSignal): Promise<Alarm | null> {
    if (this.#alarm === null && !signal.aborted) await this.#untilPut(signal);
    if (signal.aborted) return null;
    const alarm = this.#alarm;
    this.#alarm = null;
    return alarm;
  }

  #untilPut(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake);
        this.#wake = null;
        resolve();
      };
      this.#wake = wake;
      signal.addEventListener('abort', wake, { once: true });
    });
  }
}
