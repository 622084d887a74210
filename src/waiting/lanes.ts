/**
 * One call at a time for each guest. What cannot be stopped once it is begun would otherwise land in any order, and calls to a
 * hypervisor that hangs would pile up; of what is asked for meanwhile only the newest waits. Plain plumbing of promises: it knows
 * neither time limits nor what is called, and a caller who has given up changes nothing about what is under way.
 */
import type { GuestId } from '../control/reading.js';

interface Call {
  /** Begins it and settles its caller's promise. Resolves when it has ended, however it did. */
  readonly run: () => Promise<void>;
  readonly refuse: (why: Error) => void;
}

interface Lane {
  waiting: Call | null;
}

export class Lanes {
  /** Guests with a call under way. */
  readonly #lanes = new Map<GuestId, Lane>();
  readonly #superseded: (guest: GuestId) => Error;
  #onIdle: (() => void)[] = [];

  /** `superseded` makes the error for what was never begun because something newer was asked for. */
  constructor(superseded: (guest: GuestId) => Error) {
    this.#superseded = superseded;
  }

  /**
   * Begins `work` now or after what is under way, and settles as it does. `work` must not throw, and must settle only when it can
   * have no more effect.
   */
  run<T>(guest: GuestId, work: () => Promise<T>): Promise<T> {
    const lane = this.#lanes.get(guest);
    if (lane === undefined) return this.#begin(guest, work);
    lane.waiting?.refuse(this.#superseded(guest));
    return new Promise((resolve, reject) => {
      lane.waiting = { run: () => work().then(resolve, reject), refuse: reject };
    });
  }

  get isBusy(): boolean {
    return this.#lanes.size > 0;
  }

  /** Resolves when nothing is under way any more. */
  settled(): Promise<void> {
    if (!this.isBusy) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  /** Nearly always nothing is under way. Then no promise is made but that of `work`. */
  #begin<T>(guest: GuestId, work: () => Promise<T>): Promise<T> {
    const lane: Lane = { waiting: null };
    this.#lanes.set(guest, lane);
    const call = work();
    // Its caller hears of it first.
    const next = (): void => {
      queueMicrotask(() => {
        this.#goOn(guest, lane);
      });
    };
    call.then(next, next);
    return call;
  }

  #goOn(guest: GuestId, lane: Lane): void {
    const call = takeWaiting(lane);
    if (call !== null) {
      void call.run().then(() => {
        this.#goOn(guest, lane);
      });
      return;
    }
    this.#lanes.delete(guest);
    if (!this.isBusy) for (const wake of this.#onIdle.splice(0)) wake();
  }
}

function takeWaiting(lane: Lane): Call | null {
  const { waiting } = lane;
  lane.waiting = null;
  return waiting;
}
