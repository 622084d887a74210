/**
 * Those inside of one guest who say how it is, best first. It asks them all at once and waits for none of them for long: what a slow
 * one said before is what is known of it, and grows old. It does not know what they say, nor how they are reached.
 */
import type { Clock } from '../control/ports.js';
import type { Signals } from '../control/reading.js';
import { addMillis, millis } from '../units.js';

export interface InsideSource {
  /** What is known now, each signal with the time at which it was true. */
  readonly signals: Partial<Signals>;
  /** Why the newest that it said was not understood; null or left out = it was. */
  readonly refusal?: string | null;
  /** Looks, where it is one that must be asked. Resolves when that has ended, well or not. Never rejects. */
  look(): Promise<void>;
  /** The guest begins anew, or whoever was asked in it: what was opened there is not ours any more. Left out = nothing is opened. */
  forget?(): void;
  /** Lets go, within `limit` as far as it must be told. Never rejects. */
  close(limit: AbortSignal): Promise<void>;
}

/** Who is listened to, where a guest has a port for him. */
export interface InsideChoice {
  /** QEMU's guest agent is asked. */
  readonly asksAgent: boolean;
  /** Our own agent is heard. */
  readonly hearsOwn: boolean;
}

/** What those inside say of a guest. */
export interface Said {
  /** Best source first. */
  readonly sources: readonly Partial<Signals>[];
  /** Of the best source that was not understood; null = all were. */
  readonly refusal: string | null;
}

/** Where nobody is inside. */
export const NOTHING_SAID: Said = { sources: [], refusal: null };

/** A round does not wait longer for anybody in a guest. An agent answers in some milliseconds, even in an emulated guest. */
export const INSIDE_WAIT = millis(500);

export class Inside {
  readonly #clock: Clock;
  readonly #sources: readonly InsideSource[];
  readonly #onClose: () => void;
  #closing: Promise<unknown> | null = null;

  /** `sources`: best first. `onClose` is called once, when closing begins. */
  constructor(clock: Clock, sources: readonly InsideSource[], onClose: () => void = () => undefined) {
    this.#clock = clock;
    this.#sources = sources;
    this.#onClose = onClose;
  }

  /** Asks all, and gives what is known of each after 500 ms at most. Never rejects. */
  async look(): Promise<Said> {
    if (this.#sources.length === 0) return NOTHING_SAID;
    await this.#lookAtAll();
    const refusal = this.#sources.find((source) => typeof source.refusal === 'string')?.refusal ?? null;
    return { sources: this.#sources.map(({ signals }) => signals), refusal };
  }

  /** The guest begins anew, or somebody in it: what was opened there is not ours any more, and is not closed in the end. */
  forget(): void {
    for (const source of this.#sources) source.forget?.();
  }

  /** Lets go of all of them, within `limit` as far as they must be told. It may be called again. Never rejects. */
  async close(limit: AbortSignal): Promise<void> {
    if (this.#closing === null) {
      this.#onClose();
      this.#closing = Promise.all(this.#sources.map((source) => source.close(limit)));
    }
    await this.#closing;
  }

  async #lookAtAll(): Promise<void> {
    const waiting = new AbortController();
    const looks = Promise.all(this.#sources.map((source) => source.look()));
    await Promise.race([looks, this.#clock.sleepUntil(addMillis(this.#clock.now(), INSIDE_WAIT), waiting.signal)]);
    waiting.abort();
  }
}
