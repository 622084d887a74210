/**
 * How much of what is plugged into a guest its kernel has brought online, and whether the rest is still on its way: a kernel may be set to
 * leave new memory to somebody else, and then it is held for nothing. It does not know what comes of that, nor what the kernel keeps.
 */
import { millis, minPages, NO_PAGES, pages, subtractPages, subtractToZero, type Millis, type Pages } from '../units.js';

/** One look. */
export interface PlugSight {
  /** In all, what is plugged in included. */
  readonly held: Pages;
  readonly plugged: Pages;
  /** What the kernel manages, as the guest said at `saidAt`. */
  readonly total: Pages;
  readonly saidAt: Millis;
  /** When the look was finished. */
  readonly at: Millis;
}

/**
 * What stands still for so long has arrived: a guest's own blocks of memory were seen to take up to 3 s each under emulation until the
 * kernel had brought them online, and its total stands still meanwhile.
 */
export const STILL_FOR = millis(10_000);
/** Half of the smallest block that is plugged in: less is a balloon that is not quite at its target. */
const UNCERTAIN = pages(256);

export class Onlining {
  #before: PlugSight | null = null;
  /** Null: nothing is known yet. */
  #online: Pages | null = null;
  /** Since when nothing more came online; null: nothing is missing, as far as was seen. */
  #waitingSince: Millis | null = null;
  #isOver = false;

  /** What is plugged in and was not seen online. What a guest was found with counts as online: nobody saw it come. */
  missing(plugged: Pages): Pages {
    return subtractToZero(plugged, this.#online ?? plugged);
  }

  /**
   * What of the plugged memory the kernel does not bring online; null: something is missing, and may be on its way. `kept`: what the
   * kernel keeps of what the guest holds.
   */
  see(sight: PlugSight, kept: number): Pages | null {
    const { plugged } = sight;
    this.#online = minPages(this.#online ?? plugged, plugged);
    if (this.#isSettled(sight)) this.#compare(sight, kept);
    this.#before = sight;
    const missing = this.missing(plugged);
    if (missing <= UNCERTAIN) {
      this.#wait(null);
      return NO_PAGES;
    }
    return this.#isOver ? missing : null;
  }

  /** Whether the guest has spoken between two looks with the same sizes: then what is said of both is of one moment. */
  #isSettled({ held, plugged, total, saidAt }: PlugSight): boolean {
    const before = this.#before;
    const isSame = before?.held === held && before.plugged === plugged && before.total === total;
    return isSame && saidAt > before.at;
  }

  /** Where less is online than was, the kernel keeps more than before, or has given something up: nothing is on its way. */
  #compare({ held, plugged, total, at }: PlugSight, kept: number): void {
    const online = this.#online ?? plugged;
    const seen = pages(Math.max(0, Math.min(plugged, total + kept - subtractPages(held, plugged))));
    if (seen >= plugged - UNCERTAIN) this.#online = plugged;
    else if (seen > online + UNCERTAIN) {
      this.#online = seen;
      this.#wait(at);
    } else if (seen >= online - UNCERTAIN) {
      this.#waitingSince ??= at;
      this.#isOver ||= at - this.#waitingSince >= STILL_FOR;
    }
  }

  #wait(since: Millis | null): void {
    this.#waitingSince = since;
    this.#isOver = false;
  }
}
