/**
 * What a guest keeps, where its machine was reset: the new kernel begins without a balloon and may touch all that the machine has, until its
 * balloon driver speaks; the hypervisor goes on saying meanwhile what the kernel before kept. It does not know who says what.
 *
 * It counts as keeping what it was last told that it may, for that is what its driver will make true. What it may touch beyond that is not free
 * for others.
 *
 * Source: QEMU's `hw/virtio/virtio-balloon.c`, whose reset leaves both numbers as they are, and Linux's `virtio_balloon`, which writes what
 * it keeps only when it has moved.
 */
import { REACHED_WITHIN } from '../control/pursuit.js';
import {
  addMillis,
  guestSize,
  maxPages,
  millis,
  minPages,
  NO_PAGES,
  pages,
  subtractToZero,
  type GuestSize,
  type Millis,
  type Pages,
} from '../units.js';

/** Word of what the kernel before did may come late: QEMU tells of a balloon once a second at most. */
const OLD_WORD_UNTIL = millis(1_500);

/** What a guest was told, and what it keeps under an empty balloon. Null: not known. */
export interface Told {
  readonly base: Pages | null;
  readonly asked: Pages | null;
}

export interface SizeNow {
  readonly keeps: Pages;
  /** `keeps`, and what the kernel may take besides before its balloon driver speaks. */
  readonly mayTouch: Pages;
}

export class SizeSinceReset {
  #last: Pages | null = null;
  #before: Pages | null = null;
  #oldWordUntil: Millis | null = null;
  #heardAt: Millis | null = null;

  /** Whether the new kernel's driver has not said anything yet. */
  get isAwaited(): boolean {
    return this.#before !== null;
  }

  /** The machine was reset. `base`: what the guest keeps under an empty balloon; null: not known. */
  reset(base: Pages | null, now: Millis): void {
    const isWhole = this.#last === null || (base !== null && subtractToZero(base, this.#last) <= REACHED_WITHIN);
    this.#before = isWhole ? null : this.#last;
    this.#oldWordUntil = addMillis(now, OLD_WORD_UNTIL);
    this.#heardAt = null;
  }

  /** What to ask of the balloon, where `target` is wanted: all but a page of an empty one, so that a new driver has something to say. */
  askFor(target: GuestSize, base: Pages | null): GuestSize {
    return this.isAwaited && base !== null && base > 1 && target >= base ? guestSize(pages(base - 1)) : target;
  }

  /** The hypervisor said, unasked, that the balloon has moved: what it says when it is asked from now on is the new kernel's doing. */
  hear(now: Millis): void {
    if (!this.#isOldWord(now)) this.#heardAt ??= now;
  }

  /** `kept`: as the hypervisor said in a look that began at `at`; null: it did not. `asked`: what it was last told to keep; null: nobody has. */
  see(kept: Pages | null, { base, asked }: Told, at: Millis): SizeNow | null {
    if (kept === null) return null;
    this.#last = kept;
    if (this.#before !== null && this.#isOldWord(at)) this.#before = kept;
    // A look that had begun before may have been answered before, too.
    const isHeard = this.#heardAt !== null && at >= this.#heardAt;
    if (isHeard || kept !== this.#before) {
      this.#before = null;
      return { keeps: kept, mayTouch: kept };
    }
    const told = maxPages(kept, asked ?? NO_PAGES);
    return base === null
      ? { keeps: told, mayTouch: told }
      : { keeps: minPages(told, base), mayTouch: maxPages(kept, base) };
  }

  #isOldWord(at: Millis): boolean {
    return this.#oldWordUntil !== null && at < this.#oldWordUntil;
  }
}
