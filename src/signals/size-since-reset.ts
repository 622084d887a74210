/**
 * What a guest keeps, where its machine was reset: all that it has, for the new kernel begins without a balloon. The hypervisor goes on
 * saying what the kernel before kept, until the balloon driver of the new one says something. It does not know who says what.
 *
 * Source: QEMU's `hw/virtio/virtio-balloon.c`, whose reset leaves both numbers as they are, and Linux's `virtio_balloon`, which writes what
 * it keeps only when it has moved.
 */
import { REACHED_WITHIN } from '../control/pursuit.js';
import {
  addMillis,
  guestSize,
  millis,
  pages,
  subtractToZero,
  type GuestSize,
  type Millis,
  type Pages,
} from '../units.js';

/** Word of what the kernel before did may come late: QEMU tells of a balloon once a second at most. */
const OLD_WORD_UNTIL = millis(1_500);

export class SizeSinceReset {
  #last: Pages | null = null;
  #before: Pages | null = null;
  #oldWordUntil: Millis | null = null;

  /** Whether the new kernel's driver has not said anything yet. */
  get isAwaited(): boolean {
    return this.#before !== null;
  }

  /** The machine was reset. `base`: what the guest keeps under an empty balloon; null: not known. */
  reset(base: Pages | null, now: Millis): void {
    const isWhole = this.#last === null || (base !== null && subtractToZero(base, this.#last) <= REACHED_WITHIN);
    this.#before = isWhole ? null : this.#last;
    this.#oldWordUntil = addMillis(now, OLD_WORD_UNTIL);
  }

  /** What to ask of the balloon, where `target` is wanted: all but a page of an empty one, so that a new driver has something to say. */
  askFor(target: GuestSize, base: Pages | null): GuestSize {
    return this.isAwaited && base !== null && base > 1 && target >= base ? guestSize(pages(base - 1)) : target;
  }

  /** `kept`: as the hypervisor says; null: it does not. Returns the same, or `base` where that is another kernel's. */
  see(kept: Pages | null, base: Pages | null, now: Millis): Pages | null {
    if (kept === null) return null;
    this.#last = kept;
    if (this.#before === null) return kept;
    if (this.#oldWordUntil !== null && now < this.#oldWordUntil) this.#before = kept;
    if (kept === this.#before) return base;
    this.#before = null;
    return kept;
  }
}
