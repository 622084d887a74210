/**
 * The guests within one step: each is dealt with one after the other, and what the others were promised is known at any moment. It
 * does not know what happens to them.
 */
import type { Pages } from '../units.js';
import type { GuestState } from './guest-state.js';
import type { PoolId } from './pool.js';
import { Promised, promisedWhere } from './promised.js';
import type { GuestId } from './reading.js';
import type { Roster } from './roster.js';

/** A guest, and its number in the roster. */
export interface Listed<Memory> {
  readonly index: number;
  readonly state: GuestState<Memory>;
}

/** The working copy of a roster. It lives for one step; the roster that it was made of is never changed. */
export class StepGuests<Memory> {
  #roster: Roster<Memory>;
  #states: GuestState<Memory>[];
  readonly #promised: Promised;

  constructor(roster: Roster<Memory>) {
    this.#roster = roster;
    this.#states = roster.list.slice();
    this.#promised = new Promised(roster.promised);
  }

  /** As they are now. */
  get states(): readonly GuestState<Memory>[] {
    return this.#states;
  }

  find(id: GuestId): Listed<Memory> | undefined {
    const index = this.#roster.indexes.get(id);
    const state = index === undefined ? undefined : this.#states[index];
    return index === undefined || state === undefined ? undefined : { index, state };
  }

  /** The guest of this number is in another state now. */
  put(index: number, state: GuestState<Memory>): void {
    const before = this.#states[index];
    if (before !== undefined) this.#promised.replace(before, state);
    this.#states[index] = state;
  }

  /** A guest came; it takes the number of one of the same id. */
  add(state: GuestState<Memory>): void {
    this.#setRoster(this.#roster.withStates(this.#states).with(state));
  }

  remove(id: GuestId): void {
    this.#setRoster(this.#roster.withStates(this.#states).without(id));
  }

  /** What the guests of `pool` but `own` were promised and have not taken. */
  promisedBeside(pool: PoolId, own: GuestId): Pages {
    return this.#promised.in(pool, this.#states, this.find(own)?.state);
  }

  /** What those that are meant were promised and have not taken. */
  promisedTo(isMeant: (state: GuestState<Memory>) => boolean): Pages {
    return promisedWhere(this.#states, isMeant);
  }

  /** For the state after the step. */
  toRoster(): Roster<Memory> {
    return this.#roster.withStates(this.#states, this.#promised.sums);
  }

  #setRoster(roster: Roster<Memory>): void {
    this.#roster = roster;
    this.#states = roster.list.slice();
    this.#promised.forget();
  }
}
