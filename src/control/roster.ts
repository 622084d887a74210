/**
 * All guests of a state, in the order in which they came. A step copies the list, which for a thousand guests takes a
 * microsecond, and shares the numbers of their ids until a guest comes or leaves.
 */
import type { GuestState } from './guest-state.js';
import type { PromisedSums } from './promised.js';
import type { GuestId } from './reading.js';

const NOTHING_SUMMED: PromisedSums = new Map();

/** All guests, by id and in order. It is never changed: each method gives another one. */
export class Roster<Memory> {
  readonly #promised: PromisedSums;

  private constructor(
    readonly indexes: ReadonlyMap<GuestId, number>,
    readonly list: readonly GuestState<Memory>[],
    promised: PromisedSums = NOTHING_SUMMED,
  ) {
    this.#promised = promised;
  }

  /** A roster of these guests, each of another id. */
  static of<Memory>(list: readonly GuestState<Memory>[]): Roster<Memory> {
    return new Roster(new Map(list.map((state, index) => [state.guest.id, index])), list);
  }

  get(id: GuestId): GuestState<Memory> | undefined {
    const index = this.indexes.get(id);
    return index === undefined ? undefined : this.list[index];
  }

  /** What these guests were promised, as far as somebody has asked. It follows from the list, and is no part of the state. */
  get promised(): PromisedSums {
    return this.#promised;
  }

  /** The same guests in the same order, in other states. `promised`: what is known of the sums over those. */
  withStates(list: readonly GuestState<Memory>[], promised?: PromisedSums): Roster<Memory> {
    return new Roster(this.indexes, list, promised);
  }

  /** With this guest, instead of one of the same id or at the end. */
  with(state: GuestState<Memory>): Roster<Memory> {
    const index = this.indexes.get(state.guest.id);
    if (index === undefined) return Roster.of([...this.list, state]);
    return this.withStates(this.list.with(index, state));
  }

  without(id: GuestId): Roster<Memory> {
    return Roster.of(this.list.filter(({ guest }) => guest.id !== id));
  }
}
