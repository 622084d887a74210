/** Notices that wait for the loop. Bounded: of a kind that a guest can cause at will only its newest waits. It decides nothing. */
import type { GuestDescription, GuestNotice } from '../control/ports.js';
import type { GuestId } from '../control/reading.js';

const REPEATED: ReadonlySet<GuestNotice['kind']> = new Set(['guest-alarm', 'guest-changed', 'guest-moved']);

export class NoticeQueue {
  #waiting: GuestNotice[] = [];
  #wake: (() => void) | null = null;

  put(notice: GuestNotice): void {
    if (REPEATED.has(notice.kind)) this.#forget(notice.kind, idIn(notice));
    this.#waiting.push(notice);
    this.#wake?.();
  }

  /** For a new listener, who knows none of them: these guests are there, and what waited is in them. */
  restart(guests: readonly GuestDescription[]): void {
    this.#waiting = guests.map((guest) => ({ kind: 'guest-came', guest }));
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

  /** For a new listener: first that these guests are there, then everything that is put, until one of `ends` is aborted. */
  async *watch(guests: readonly GuestDescription[], ends: readonly AbortSignal[]): AsyncGenerator<GuestNotice> {
    const ending = new AbortController();
    const end = (): void => {
      ending.abort();
    };
    for (const one of ends) one.addEventListener('abort', end, { once: true });
    if (ends.some(({ aborted }) => aborted)) end();
    this.restart(guests);
    try {
      yield* this.take(ending.signal);
    } finally {
      for (const one of ends) one.removeEventListener('abort', end);
    }
  }

  async #rung(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#wake = null;
  }

  #forget(kind: GuestNotice['kind'], guest: GuestId): void {
    this.#waiting = this.#waiting.filter((notice) => notice.kind !== kind || idIn(notice) !== guest);
  }
}

const idIn = ({ guest }: GuestNotice): GuestId => (typeof guest === 'string' ? guest : guest.id);
