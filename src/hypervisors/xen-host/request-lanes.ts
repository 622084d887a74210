/**
 * One request at a time for each guest. What cannot be stopped once it is begun would otherwise land in any order; of what is asked
 * for meanwhile only the newest waits. It knows no time limits: a caller who has given up changes nothing about what is under way.
 */
import type { GuestId } from '../../control/reading.js';

interface Request {
  readonly work: () => Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Lane {
  waiting: Request | null;
}

export class RequestLanes {
  readonly #lanes = new Map<GuestId, Lane>();
  readonly #superseded: (guest: GuestId) => Error;
  #onIdle: (() => void)[] = [];

  /** `superseded` makes the error for what was never begun because something newer was asked for. */
  constructor(superseded: (guest: GuestId) => Error) {
    this.#superseded = superseded;
  }

  /** Begins `work` now or after what is under way; it must settle only when it can have no more effect. Settles as it does. */
  run(guest: GuestId, work: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const request = { work, resolve, reject };
      const lane = this.#lanes.get(guest);
      if (lane === undefined) {
        this.#lanes.set(guest, { waiting: null });
        void this.#runFrom(guest, request);
        return;
      }
      lane.waiting?.reject(this.#superseded(guest));
      lane.waiting = request;
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

  async #runFrom(guest: GuestId, first: Request): Promise<void> {
    for (let request: Request | null = first; request !== null; request = this.#next(guest)) {
      await request.work().then(request.resolve, request.reject);
    }
    this.#lanes.delete(guest);
    if (!this.isBusy) for (const wake of this.#onIdle.splice(0)) wake();
  }

  #next(guest: GuestId): Request | null {
    const lane = this.#lanes.get(guest);
    const waiting = lane?.waiting ?? null;
    if (lane !== undefined) lane.waiting = null;
    return waiting;
  }
}
