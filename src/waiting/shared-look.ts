/**
 * One look at the host at a time. Whoever asks while one is under way gets that one, with the time at which it was begun, so that
 * one that hangs is not asked for again and again and what it brings is never taken for younger than it is. It does not know what is
 * looked at.
 */
import { unlessAborted } from './abort.js';
import type { Millis } from '../units.js';

/** What was seen was true at `at` or later. */
export interface Seen<Sight> {
  readonly at: Millis;
  readonly sight: Sight;
}

export interface SharedLookOptions<Sight> {
  /** Looks once. May take longer than `signal` lasts. */
  readonly look: (signal: AbortSignal) => Promise<Sight>;
  readonly now: () => Millis;
  /** Makes the error for whoever waits no longer. */
  readonly tooSlow: () => Error;
}

interface Look<Sight> {
  readonly at: Millis;
  readonly result: Promise<Sight>;
}

export class SharedLook<Sight> {
  readonly #options: SharedLookOptions<Sight>;
  #underWay: Look<Sight> | null = null;

  constructor(options: SharedLookOptions<Sight>) {
    this.#options = options;
  }

  /** Rejects as the look does, and with what `tooSlow` makes when `signal` is aborted first. */
  async look(signal: AbortSignal): Promise<Seen<Sight>> {
    const { tooSlow } = this.#options;
    if (signal.aborted) throw tooSlow();
    const { at, result } = this.#underWay ?? this.#begin(signal);
    return { at, sight: await unlessAborted(result, signal, tooSlow) };
  }

  #begin(signal: AbortSignal): Look<Sight> {
    const { look, now } = this.#options;
    const result = look(signal).finally(() => (this.#underWay = null));
    const begun = { at: now(), result };
    this.#underWay = begun;
    return begun;
  }
}
