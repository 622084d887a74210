/** What a guest held at its last looks, so that what it said since can be set against it. It knows nothing of who held what for whom. */
import type { Millis, Pages } from '../units.js';

/** At one look a second, longer than anything that is still believed. */
const LOOKS_MAX = 16;

export class HeldBefore {
  readonly #looks: { readonly at: Millis; readonly held: Pages }[] = [];

  /** `at`: not before the last one. */
  note(held: Pages, at: Millis): void {
    this.#looks.push({ held, at });
    if (this.#looks.length > LOOKS_MAX) this.#looks.shift();
  }

  /** By the last look that had begun by then, or else by the first that is remembered; null where there was none. */
  at(time: Millis): Pages | null {
    const look = this.#looks.findLast(({ at }) => at <= time) ?? this.#looks[0];
    return look?.held ?? null;
  }
}
