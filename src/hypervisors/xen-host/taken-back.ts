/**
 * What guests may take back that they gave up by themselves. A look sees every domain, but control hears of a guest's size only
 * when that guest is due, and counts as promised what was missing to its target then. It does not know who is free to grow.
 */
import type { GuestId } from '../../control/reading.js';
import { addPages, pages, subtractToZero, type Pages } from '../../units.js';

/** One guest at one look. */
export interface Standing {
  readonly guest: GuestId;
  readonly held: Pages;
  /** What it was last told to hold; null = not known. */
  readonly asked: Pages | null;
}

export class TakenBack {
  /** What control last heard that each guest holds. */
  readonly #told = new Map<GuestId, Pages>();

  /** Control hears that `guest` holds so much. */
  tell(guest: GuestId, held: Pages): void {
    this.#told.set(guest, held);
  }

  /** The sum of what is free now and may be gone before control hears of it. Guests that are not among `all` are forgotten. */
  of(all: readonly Standing[]): Pages {
    const there = new Set(all.map(({ guest }) => guest));
    for (const guest of this.#told.keys()) if (!there.has(guest)) this.#told.delete(guest);
    return all.reduce((sum, one) => addPages(sum, this.#unheardOf(one)), pages(0));
  }

  #unheardOf({ guest, held, asked }: Standing): Pages {
    const told = this.#told.get(guest);
    if (told === undefined || asked === null) return pages(0);
    return subtractToZero(subtractToZero(asked, held), subtractToZero(asked, told));
  }
}
