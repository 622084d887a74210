/**
 * Reads something again when it has changed, at most ten times a second however often it changes, and once more after the last
 * change. It does not know what is read.
 */
import type { Clock } from '../../control/ports.js';
import { addMillis, millis } from '../../units.js';
import { XenstoreError } from '../../xenstore/index.js';

/** A reporter of ours writes at most ten times a second. */
const PAUSE = millis(100);
/** What xenstored did not answer or refused is not asked for in haste. */
const PAUSE_FAILED = millis(1_000);

export class PacedRead {
  readonly #read: () => Promise<boolean>;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #isWanted = false;
  #isBusy = false;

  /** `read` says whether that is done; if not, it is tried again. Nothing is read any more once `signal` is aborted. */
  constructor(read: () => Promise<boolean>, clock: Clock, signal: AbortSignal) {
    this.#read = read;
    this.#clock = clock;
    this.#signal = signal;
  }

  /** It has changed. Resolves when it has been read and the pause is over; at once while that is under way already. */
  async ask(): Promise<void> {
    this.#isWanted = true;
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      while (this.#isWanted && !this.#signal.aborted) {
        this.#isWanted = false;
        const isDone = await this.#read();
        if (!isDone) this.#isWanted = true;
        await this.#clock.sleepUntil(addMillis(this.#clock.now(), isDone ? PAUSE : PAUSE_FAILED), this.#signal);
      }
    } finally {
      this.#isBusy = false;
    }
  }
}

/**
 * Makes of something that is done over a connection what can be tried again: what xenstored did not answer, or refused, is not done.
 * With the connection it ends, and whoever connects again begins anew. What is not xenstored's word is a fault of ours.
 */
export async function isDoneOver(work: Promise<void>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (error instanceof XenstoreError) return error.xenstoreCode === 'EUNAVAILABLE';
    throw error;
  }
}
