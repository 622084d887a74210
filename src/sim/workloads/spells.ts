/**
 * Busy and quiet spells that follow each other, their lengths drawn as they begin. They depend on the seed and the time alone,
 * not on how often anyone asks.
 */
import type { RandomStream } from '../random.js';

/** Least and most, in seconds. */
export type Span = readonly [low: number, high: number];

export interface SpellOptions {
  readonly quiet: Span;
  readonly busy: Span;
  /** The first quiet spell; it may be shorter, so that there is something to see soon. */
  readonly first: Span;
}

export interface Spell {
  readonly isBusy: boolean;
  readonly startedAt: number;
  readonly endsAt: number;
  /** How strong it is, 0 to 1: drawn once for each spell. */
  readonly strength: number;
}

export class Spells {
  readonly #options: SpellOptions;
  readonly #random: RandomStream;
  #current: Spell;

  constructor(options: SpellOptions, random: RandomStream) {
    this.#options = options;
    this.#random = random;
    this.#current = { isBusy: false, startedAt: 0, endsAt: random.between(...options.first), strength: 0 };
  }

  /** The spell at `atSeconds`, which must not be before the last one asked for. */
  at(atSeconds: number): Spell {
    while (atSeconds >= this.#current.endsAt) this.#current = this.#after(this.#current);
    return this.#current;
  }

  #after(before: Spell): Spell {
    const isBusy = !before.isBusy;
    const startedAt = before.endsAt;
    const length = this.#random.between(...(isBusy ? this.#options.busy : this.#options.quiet));
    return { isBusy, startedAt, endsAt: startedAt + length, strength: this.#random.next() };
  }
}

/** Rises from 0 to 1 in the first `seconds` after `startedAt`. */
export const ramp = (atSeconds: number, startedAt: number, seconds: number): number =>
  Math.min(1, Math.max(0, (atSeconds - startedAt) / seconds));
