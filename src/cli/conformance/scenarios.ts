/**
 * What each scenario of a vector file has come to, and the order of its lines: every line goes on from the one before it, so
 * one that is missing must be noticed. The lines of different scenarios may be mixed.
 */
import { SelfballoonError } from '../../errors.js';

/** Scenarios whose state is kept, should their lines be mixed; the one that began first goes first. */
export const SCENARIOS_MAX = 64;

export interface LinePlace {
  readonly scenario: number;
  /** The line's number within its scenario, from 0. */
  readonly n: number;
}

interface Scenario<State> {
  next: number;
  state: State;
}

export class Scenarios<State> {
  readonly #kept = new Map<number, Scenario<State>>();

  /** Begins a scenario, also one that was there before. Throws `SelfballoonError` `EINVAL` when the place is not its first. */
  begin({ scenario, n }: LinePlace, state: State): void {
    if (n !== 0) throw outOfOrder(`line ${n} of scenario ${scenario} begins it; that is line 0's part`);
    this.#kept.delete(scenario);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size >= SCENARIOS_MAX && oldest !== undefined) this.#kept.delete(oldest);
    this.#kept.set(scenario, { next: 0, state });
  }

  /** The state that a line goes on from. Throws `SelfballoonError` `EINVAL` when it is not the scenario's next line. */
  take({ scenario, n }: LinePlace): State {
    const kept = this.#kept.get(scenario);
    if (kept === undefined) {
      throw outOfOrder(
        `scenario ${scenario} has not begun (its line 0 is missing), or more than ${SCENARIOS_MAX} began after it`,
      );
    }
    const due = kept.next;
    // A gap is told once: the lines after it are held to its end.
    kept.next = Math.max(due, n + 1);
    if (n !== due) throw outOfOrder(`scenario ${scenario} has line ${n} where line ${due} is due`);
    return kept.state;
  }

  /** What the scenario has come to after the line taken last. */
  keep(scenario: number, state: State): void {
    const kept = this.#kept.get(scenario);
    if (kept !== undefined) kept.state = state;
  }
}

const outOfOrder = (message: string): SelfballoonError => new SelfballoonError({ code: 'EINVAL', message });
