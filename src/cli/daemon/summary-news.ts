/**
 * Whether a summary says something that the last one did not. A journal of the system keeps every line: one for each round is 17,000
 * a day, and most of them say the same.
 */
import { isShownTogether, sum, type Shown, type ShownGuest } from './summary.js';

/** A size is another one when it has changed by this part of the larger of the two. */
const PART = 16;
/** Guests that fall into the same trouble and out of it again and again are told of once in so long. */
const PHASES_AGAIN_MS = 60_000;
/** So that nobody takes the daemon for dead. */
const SILENCE_MS_MAX = 3_600_000;

/** What is compared; sizes in pages, null = not known. */
interface Said {
  readonly at: number;
  /** Which guests are shown, and in what way. */
  readonly who: string;
  /** How many are in which trouble. On the way and where they should be are the same: sizes say more of it. */
  readonly phases: string;
  readonly sizes: readonly (number | null)[];
}

export class SummaryNews {
  #last: Said | null = null;
  #phasesSaidAt = -Infinity;

  /** To be told of each summary, with a time in milliseconds that only goes on. */
  isNews(shown: Shown, now: number): boolean {
    const said = saidIn(shown, now);
    const last = this.#last;
    const hasOtherPhases = last !== null && last.phases !== said.phases;
    const isNews =
      last === null ||
      now - last.at >= SILENCE_MS_MAX ||
      last.who !== said.who ||
      said.sizes.some((size, n) => isAnother(size, last.sizes[n] ?? null)) ||
      (hasOtherPhases && now - this.#phasesSaidAt >= PHASES_AGAIN_MS);
    if (!isNews) return false;
    if (hasOtherPhases) this.#phasesSaidAt = now;
    this.#last = said;
    return true;
  }
}

function saidIn({ guests, isDryRun }: Shown, at: number): Said {
  const together = guests.filter(isShownTogether);
  const observed = guests.filter((guest) => !isShownTogether(guest));
  const phases = guests.map(({ phase }) => (IN_ORDER.has(phase) ? '' : phase)).sort();
  return {
    at,
    who: JSON.stringify([isDryRun, together.length, observed.map(({ id }) => id)]),
    phases: phases.join(' ').trim(),
    sizes: [
      sum(together, ({ currentPages }) => currentPages),
      sum(together, ({ maximumPages }) => maximumPages),
      ...observed.flatMap(({ currentPages, targetPages }) => [currentPages, targetPages]),
    ],
  };
}

const IN_ORDER: ReadonlySet<ShownGuest['phase']> = new Set(['steady', 'shrinking', 'growing']);

function isAnother(size: number | null, before: number | null): boolean {
  if (size === null || before === null) return size !== before;
  return Math.abs(size - before) * PART > Math.max(size, before);
}
