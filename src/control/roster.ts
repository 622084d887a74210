/**
 * All guests of a state, in the order in which they came. A step copies the list, which for a thousand guests takes a
 * microsecond, and shares the places of their ids until a guest comes or leaves.
 */
import type { GuestState } from './guest-state.js';
import type { GuestId } from './reading.js';

export class Roster<Memory> {
  private constructor(
    readonly places: ReadonlyMap<GuestId, number>,
    readonly list: readonly GuestState<Memory>[],
  ) {}

  /** A roster of these guests, each of another id. */
  static of<Memory>(list: readonly GuestState<Memory>[]): Roster<Memory> {
    return new Roster(new Map(list.map((state, place) => [state.guest.id, place])), list);
  }

  get(id: GuestId): GuestState<Memory> | undefined {
    const place = this.places.get(id);
    return place === undefined ? undefined : this.list[place];
  }

  /** The same guests in the same places, in other states. */
  withStates(list: readonly GuestState<Memory>[]): Roster<Memory> {
    return new Roster(this.places, list);
  }

  /** With this guest, in the place of one of the same id or at the end. */
  with(state: GuestState<Memory>): Roster<Memory> {
    const place = this.places.get(state.guest.id);
    if (place === undefined) return Roster.of([...this.list, state]);
    return this.withStates(this.list.with(place, state));
  }

  without(id: GuestId): Roster<Memory> {
    return Roster.of(this.list.filter(({ guest }) => guest.id !== id));
  }
}
