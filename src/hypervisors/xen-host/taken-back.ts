/**
 * What Xen counts as free and control's books do not: what guests gave up by themselves or on their way down and may be told to take
 * again, and what somebody else has told them to hold. A look sees every domain, but control hears of a guest only when that guest is
 * due: until then it goes by what the guest held then, and counts as promised what was missing to its target then, and what it has asked
 * for itself since. It does not know who is free to grow.
 */
import type { GuestId } from '../../control/reading.js';
import { addPages, maxPages, NO_PAGES, subtractToZero, type Pages } from '../../units.js';

/** One guest at one look. */
export interface Standing {
  readonly guest: GuestId;
  readonly held: Pages;
  /** What it was last told to hold; null = not known. */
  readonly asked: Pages | null;
}

/** What control knows of a guest. */
interface Told {
  readonly held: Pages;
  /** Null: not known. */
  readonly asked: Pages | null;
}

export class TakenBack {
  readonly #told = new Map<GuestId, Told>();

  /** Control hears of a guest as it stands. */
  tell({ guest, held, asked }: Standing): void {
    this.#told.set(guest, { held, asked });
  }

  /** Whether `target` is more than `guest` held when control last heard of it. */
  isGrowth(guest: GuestId, target: Pages): boolean {
    const told = this.#told.get(guest);
    return told !== undefined && target > told.held;
  }

  /** Control asks `guest` to hold so much, and counts it from now on. */
  ask(guest: GuestId, asked: Pages): void {
    const told = this.#told.get(guest);
    if (told !== undefined) this.#told.set(guest, { held: told.held, asked });
  }

  /**
   * The sum of what is free now and may be gone before control hears of it. It hears of those in `heard` together with the sum. Guests
   * that are not among `all` are forgotten.
   */
  of(all: readonly Standing[], heard: ReadonlySet<GuestId>): Pages {
    const there = new Set(all.map(({ guest }) => guest));
    for (const guest of this.#told.keys()) if (!there.has(guest)) this.#told.delete(guest);
    return all.reduce((sum, one) => addPages(sum, this.#unheardOf(one, heard.has(one.guest))), NO_PAGES);
  }

  #unheardOf({ guest, held, asked }: Standing, isHeard: boolean): Pages {
    const told = this.#told.get(guest);
    if (told === undefined) return NO_PAGES;
    const toldTarget = told.asked ?? asked ?? NO_PAGES;
    const promised = subtractToZero(toldTarget, told.held);
    // Whoever is heard of only when it needs memory again is given what it lacks on top of what it held when it was last heard of.
    const ofBooks = isHeard ? NO_PAGES : maxPages(told.held, toldTarget);
    return subtractToZero(subtractToZero(maxPages(ofBooks, asked ?? NO_PAGES), held), promised);
  }
}
