/**
 * What the guests of each pool were promised and have not taken, as a sum that is kept while one guest after the other is dealt
 * with, and from step to step: each of a thousand asks for it in a round, and it is over a thousand. It does not know what the sum is
 * used for.
 */
import { addPages, NO_PAGES, subtractToZero, type Pages } from '../units.js';
import { promisedTo, type GuestState } from './guest-state.js';
import type { PoolId } from './pool.js';

/** The sums of those pools that were asked for. */
export type PromisedSums = ReadonlyMap<PoolId, Pages>;

export class Promised {
  readonly #sums: Map<PoolId, Pages>;

  /** `known`: of the guests as they are before anything is replaced. */
  constructor(known: PromisedSums) {
    this.#sums = new Map(known);
  }

  /** As far as they are known now. */
  get sums(): PromisedSums {
    return this.#sums;
  }

  /** The sum over the guests of `pool`, without `but`. `states`: all guests as they are now. */
  in(pool: PoolId, states: readonly GuestState<unknown>[], but: GuestState<unknown> | undefined): Pages {
    let sum = this.#sums.get(pool);
    if (sum === undefined) {
      sum = promisedWhere(states, (state) => state.guest.pool === pool);
      this.#sums.set(pool, sum);
    }
    return but?.guest.pool === pool ? subtractToZero(sum, promisedTo(but)) : sum;
  }

  /** A guest is in another state now. */
  replace(before: GuestState<unknown>, after: GuestState<unknown>): void {
    const { pool } = after.guest;
    if (before.guest.pool !== pool) this.forget();
    const sum = pool === undefined ? undefined : this.#sums.get(pool);
    if (pool === undefined || sum === undefined) return;
    this.#sums.set(pool, addPages(subtractToZero(sum, promisedTo(before)), promisedTo(after)));
  }

  /** Any number of guests may be in other states now. */
  forget(): void {
    this.#sums.clear();
  }
}

/** The sum over those that are meant. */
export function promisedWhere<State extends GuestState<unknown>>(
  states: readonly State[],
  isMeant: (state: State) => boolean,
): Pages {
  let sum = NO_PAGES;
  for (const state of states) if (isMeant(state)) sum = addPages(sum, promisedTo(state));
  return sum;
}
