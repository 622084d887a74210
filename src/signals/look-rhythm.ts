/** When a guest is looked at: from its looks so far, when the next is due. It knows nothing of what they bring. */
import { addMillis, millis, type Millis } from '../units.js';

/** Looks come on beats; one that is later than this was held up, or came between two of them. */
const UNEVEN = millis(25);

export class LookRhythm {
  #at: Millis | null = null;
  #gap: Millis | null = null;
  #isEven = false;

  /** A look begins. */
  note(at: Millis): void {
    const gap = this.#at === null ? null : millis(at - this.#at);
    this.#isEven = gap !== null && this.#gap !== null && Math.abs(gap - this.#gap) <= UNEVEN;
    this.#at = at;
    this.#gap = gap;
  }

  /** How long after the look before it the last one began; null: there were no two yet. */
  get gap(): Millis | null {
    return this.#gap;
  }

  /** When the next one is due; null: the last ones came unevenly, so nobody can tell. */
  get next(): Millis | null {
    return this.#isEven && this.#at !== null && this.#gap !== null ? addMillis(this.#at, this.#gap) : null;
  }
}
