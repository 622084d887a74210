/** Notices that wait for the loop. Bounded: of one guest's alarms only the newest waits. It decides nothing. */
import type { GuestNotice } from '../../control/ports.js';

export class NoticeQueue {
  #waiting: GuestNotice[] = [];
  #wake: (() => void) | null = null;

  put(notice: GuestNotice): void {
    if (notice.kind === 'guest-alarm') this.#forgetAlarm(notice.guest);
    this.#waiting.push(notice);
    this.#wake?.();
  }

  /** Everything that is put, in order, until `signal` is aborted. For one listener at a time. */
  async *take(signal: AbortSignal): AsyncGenerator<GuestNotice> {
    const onAbort = (): void => this.#wake?.();
    signal.addEventListener('abort', onAbort);
    try {
      while (!signal.aborted) {
        const taken = this.#waiting;
        this.#waiting = [];
        yield* taken;
        if (this.#waiting.length === 0) await this.#rung(signal);
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  async #rung(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#wake = null;
  }

  #forgetAlarm(guest: string): void {
    this.#waiting = this.#waiting.filter((notice) => notice.kind !== 'guest-alarm' || notice.guest !== guest);
  }
}
