/** What a guest held and used at its last looks, so that what it said since can be set against it. It knows nothing of who held what for whom. */
import { addMillis, maxPages, millis, type Millis, type Pages } from '../units.js';

/** Longer than anything is believed that a guest said (61 s: one look's interval, and a second of grace). */
const KEPT = millis(90_000);
/** A guest that moves at each of four looks a second moves so often in that time. */
const CHANGES_MAX = 400;

/** What it held in some time: the most, and at the end. */
export interface HeldRange {
  readonly most: Pages;
  readonly last: Pages;
}

export class HeldBefore {
  /** When it was first seen to hold as much. */
  readonly #changes: { readonly at: Millis; readonly held: Pages }[] = [];
  /** By the last reading that told; null: none has. */
  used: Pages | null = null;

  /** `at`: not before the last one. */
  note(held: Pages, at: Millis): void {
    if (this.#changes.at(-1)?.held !== held) this.#changes.push({ held, at });
    while (this.#isFirstOver(at)) this.#changes.shift();
  }

  #isFirstOver(now: Millis): boolean {
    const second = this.#changes[1];
    return second !== undefined && (addMillis(second.at, KEPT) < now || this.#changes.length > CHANGES_MAX);
  }

  /** By the last look that had begun by then, or else by the first that is remembered; null where there was none. */
  at(time: Millis): Pages | null {
    return this.#changes[this.#placeAt(time)]?.held ?? null;
  }

  /** From then until the last look; null where there was none. */
  since(time: Millis): HeldRange | null {
    const [first, ...later] = this.#changes.slice(this.#placeAt(time));
    if (first === undefined) return null;
    const most = later.reduce((largest, { held }) => maxPages(largest, held), first.held);
    return { most, last: later.at(-1)?.held ?? first.held };
  }

  #placeAt(time: Millis): number {
    return Math.max(
      0,
      this.#changes.findLastIndex(({ at }) => at <= time),
    );
  }
}
