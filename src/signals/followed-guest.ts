/**
 * What is remembered of a guest from look to look, by a host that sees its balloon from outside, and how each look is set against it: the
 * size that counts, what the guest holds and has not touched, its reading. The order of that is kept here, for each step builds on those
 * before it. It does not know who says what, nor when anybody looks.
 */
import type { Reading } from '../control/reading.js';
import { addPages, maxPages, NO_PAGES, type GuestSize, type Millis, type Pages } from '../units.js';
import { GivenAgain } from './given-again.js';
import { HeldBefore } from './held-before.js';
import { KernelShare } from './kernel-share.js';
import { SizeSinceReset } from './size-since-reset.js';

/** What of the host's memory a guest's process has. It may cost something to find out, and is asked for only where it matters. */
export interface Residence {
  /** The guest may touch so much now, and its process keeps no more. */
  noteHeld(held: Pages): void;
  /** Null: not known. */
  resident(): Pages | null;
}

/** Where it has been said already; null: it was not. */
export const residentAs = (resident: Pages | null): Residence => ({
  noteHeld: () => undefined,
  resident: () => resident,
});

/** What one look brought. */
export interface Sight {
  /** What it keeps of the memory under its balloon, as its hypervisor says; null: it does not. */
  readonly said: Pages | null;
  /** What it was last told to keep of that; null: nobody has told it. */
  readonly asked: Pages | null;
  /** What is plugged in beyond that. */
  readonly plugged: Pages;
  /** When the look began. Not before the last one. */
  readonly at: Millis;
  readonly residence: Residence;
}

/** What a reading is made with, besides what the look brought. */
export interface Followed {
  /** What it keeps of the memory under its balloon; null: not known. */
  readonly keeps: Pages | null;
  /** What it held until now, and used at the look before. */
  readonly before: HeldBefore;
}

export interface Steps {
  /**
   * It was found to hold more that it has not touched, so that its host has less for others. The host is told of before the guest's own
   * reading, which ends what the guest was promised.
   */
  readonly onMoreUntouched: () => void;
  readonly makeReading: (followed: Followed) => Reading;
}

export interface FollowedGuestOptions {
  /** What its host says of a balloon that moves is old: see `KernelShare`. */
  readonly isHostLate: boolean;
  /** The same guest over a connection before: what it was given again and told to keep still counts. Null or left out: there was none. */
  readonly before?: FollowedGuest | null;
}

/** What stays true of a guest while nobody is connected to its hypervisor. All connections to the same guest share it. */
interface Lasting {
  readonly givenAgain: GivenAgain;
  asked: Pages | null;
}

export class FollowedGuest {
  readonly #isHostLate: boolean;
  readonly #lasting: Lasting;
  readonly #sinceReset = new SizeSinceReset();
  #held = new HeldBefore();
  #kernelShare: KernelShare;
  #base: Pages | null = null;
  #mayTouch: Pages | null = null;

  constructor({ isHostLate, before = null }: FollowedGuestOptions) {
    this.#isHostLate = isHostLate;
    this.#kernelShare = new KernelShare({ isHostLate });
    this.#lasting = before === null ? { givenAgain: new GivenAgain(), asked: null } : before.#lasting;
  }

  /** What it kept at its last looks, what is plugged in included. */
  get held(): HeldBefore {
    return this.#held;
  }

  /** What it holds and its host still counts as free. */
  get untouched(): Pages {
    return this.#lasting.givenAgain.untouched;
  }

  /** What it was last told to keep under its balloon, as far as that was noted here; null: nothing yet. */
  get asked(): Pages | null {
    return this.#lasting.asked;
  }

  /** It was told to keep so much, and its hypervisor has taken that. */
  noteAsked(target: GuestSize): void {
    this.#lasting.asked = target;
  }

  /** Whether it was reset, and the new kernel's balloon driver has not said anything yet. */
  get isAwaited(): boolean {
    return this.#sinceReset.isAwaited;
  }

  /** What one that is awaited may touch under its balloon; null: it is not awaited, or nobody knows. */
  get sizeAnew(): Pages | null {
    return this.isAwaited ? this.#base : null;
  }

  /** What it keeps under an empty balloon; null: not known. It stays until something else is said. */
  noteBase(base: Pages | null): void {
    this.#base = base;
  }

  /** The hypervisor said, unasked, that the balloon has moved. */
  hear(now: Millis): void {
    this.#sinceReset.hear(now);
  }

  /** What to ask of the balloon, where `target` is wanted. */
  askFor(target: GuestSize): GuestSize {
    return this.#sinceReset.askFor(target, this.#base);
  }

  /** A look has ended. Returns the reading that is made of it. */
  read({ said, asked, plugged, at, residence }: Sight, { onMoreUntouched, makeReading }: Steps): Reading {
    const size = this.#sinceReset.see(said, { base: this.#base, asked }, at);
    if (size !== null) {
      this.#held.note(addPages(size.keeps, plugged), at);
      if (this.noteMayTouch(addPages(size.mayTouch, plugged), residence) > 0) onMoreUntouched();
    }
    const made = makeReading({ keeps: size?.keeps ?? null, before: this.#held });
    const reading = this.#kernelShare.settle(made);
    if (reading.used.known) this.#held.used = reading.used.value;
    return reading;
  }

  /** It may touch so much in all, what is plugged in included. Returns by how much more of it is untouched than before. */
  noteMayTouch(size: Pages, residence: Residence): Pages {
    this.#mayTouch = size;
    residence.noteHeld(size);
    const { givenAgain } = this.#lasting;
    return givenAgain.note(size, givenAgain.hasMore(size) ? residence.resident() : null);
  }

  /** Looks again how much of what it may touch is untouched. */
  renewUntouched(residence: Residence): void {
    if (this.#mayTouch !== null) this.noteMayTouch(this.#mayTouch, residence);
  }

  /**
   * It was reset: what its kernel held, used and kept for itself was another's. What the new one may touch counts at once, for the next look may
   * be a while from now. `residence` null: it cannot be known before the next look, and whoever looks calls `noteMayTouch` first.
   */
  beginAnew(now: Millis, residence: Residence | null): void {
    this.#held = new HeldBefore();
    this.#kernelShare = new KernelShare({ isHostLate: this.#isHostLate });
    this.#sinceReset.reset(this.#base, now);
    const { sizeAnew } = this;
    if (sizeAnew === null || residence === null) return;
    this.noteMayTouch(maxPages(sizeAnew, this.#mayTouch ?? NO_PAGES), residence);
  }
}
