/**
 * Machines that left, to know them again when they come back. Xen makes another domain of a machine that reboots, and its toolstack
 * gives that as little as the one before had been asked to hold.
 */
import { addMillis, millis, type Millis } from '../../units.js';

/** Seen in the lab: less than 11 s from the command to a guest that has booted again. One that comes later was started by somebody. */
const WITHIN = millis(60_000);

export class Reboots {
  /** When each left. */
  readonly #left = new Map<string, Millis>();

  /** `machine` as a domain's record has it; null: it cannot be known again. */
  noteLeft(machine: string | null, now: Millis): void {
    for (const [one, at] of this.#left) if (addMillis(at, WITHIN) < now) this.#left.delete(one);
    if (machine !== null) this.#left.set(machine, now);
  }

  /** Whether it left not long ago. It counts as there from now on. */
  isBack(machine: string | null, now: Millis): boolean {
    const at = machine === null ? undefined : this.#left.get(machine);
    if (machine === null || at === undefined) return false;
    this.#left.delete(machine);
    return addMillis(at, WITHIN) >= now;
  }
}
