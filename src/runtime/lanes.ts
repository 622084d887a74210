/**
 * One call at a time for each guest. While one is under way only the newest of those that came meanwhile waits; what it replaced
 * is told so. So calls to a hypervisor that hangs cannot pile up, and the latest target wins.
 */
import type { GuestId } from '../control/reading.js';

export interface LaneCall {
  /** Starts the call; `done` must be called once, when it has really ended. It must not throw. */
  readonly run: (done: () => void) => void;
  readonly superseded: () => void;
}

export class Lanes {
  /** Guests with a call under way, and what waits behind it. */
  readonly #lanes = new Map<GuestId, LaneCall | null>();

  /** Runs now, or after the call that is under way for this guest. */
  enter(guest: GuestId, call: LaneCall): void {
    const waiting = this.#lanes.get(guest);
    if (waiting === undefined) {
      this.#start(guest, call);
      return;
    }
    waiting?.superseded();
    this.#lanes.set(guest, call);
  }

  #start(guest: GuestId, call: LaneCall): void {
    this.#lanes.set(guest, null);
    call.run(() => {
      const next = this.#lanes.get(guest) ?? null;
      if (next === null) this.#lanes.delete(guest);
      else this.#start(guest, next);
    });
  }
}
