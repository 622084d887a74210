/**
 * Whether a guest's statistics come too late for the looks at it. QEMU asks again as long after an answer as polling has it, so that a guest
 * that answers late moves all its later answers: one look finds what the look before had found already, and those that follow find what
 * is nearly a second old. Told by `last-update` alone, which is in whole seconds. It does not know what the statistics say.
 */
import { millis, type Millis } from '../units.js';

/** A look that comes a little early counts as one a whole second after the last. */
const EARLY = millis(25);
/** Who has said nothing new for longer, or never yet, is not late: he does not answer. */
const SILENT_AFTER = millis(3_000);

interface Seen {
  /** When the look began. */
  readonly at: Millis;
  /** In whole seconds since 1970. */
  readonly lastUpdate: number;
}

export class Renewal {
  #seen: Seen | null = null;
  #renewedAt: Millis | null = null;

  /**
   * `lastUpdate`: what a look that began then has found; null: nothing. Whether it should have been renewed once more since a look before.
   * Looks less than a second apart say nothing.
   */
  isLate(lastUpdate: number | null, at: Millis): boolean {
    const before = this.#seen;
    if (lastUpdate === null) return false;
    const seconds = before === null ? 0 : Math.floor((at - before.at + EARLY) / 1_000);
    if (before !== null && seconds === 0) return false;
    this.#seen = { at, lastUpdate };
    if (before !== null && lastUpdate > before.lastUpdate) this.#renewedAt = at;
    const isSilent = this.#renewedAt === null || at - this.#renewedAt > SILENT_AFTER;
    return before !== null && !isSilent && lastUpdate - before.lastUpdate < seconds;
  }
}
