/**
 * One look at the host at a time. Whoever asks while one is under way gets that one, with the time at which it was begun, so that
 * one that hangs is not asked for again and again and what it brings is never taken for younger than it is.
 */
import { unlessAborted } from '../../control/abort.js';
import type { Millis } from '../../units.js';
import { lookTooSlow } from './errors.js';
import type { HostSight, SightSource } from './sight.js';

/** What was seen was true at `at` or later. */
export interface Seen {
  readonly at: Millis;
  readonly sight: HostSight;
}

interface Look {
  readonly at: Millis;
  readonly result: Promise<HostSight>;
}

export class SharedLook {
  readonly #source: SightSource;
  readonly #now: () => Millis;
  #underWay: Look | null = null;

  constructor(source: SightSource, now: () => Millis) {
    this.#source = source;
    this.#now = now;
  }

  /** Rejects with `HypervisorError`, when `signal` is aborted first with `ETIMEDOUT`. */
  async look(signal: AbortSignal): Promise<Seen> {
    const tooSlow = (): Error => lookTooSlow(this.#source);
    if (signal.aborted) throw tooSlow();
    const { at, result } = this.#underWay ?? this.#begin(signal);
    return { at, sight: await unlessAborted(result, signal, tooSlow) };
  }

  #begin(signal: AbortSignal): Look {
    const result = this.#source.look(signal).finally(() => (this.#underWay = null));
    const look = { at: this.#now(), result };
    this.#underWay = look;
    return look;
  }
}
