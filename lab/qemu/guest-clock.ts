/** A guest's monotonic clock, in terms of this process's `performance.now()`. */

export interface GuestClock {
  /** A time of the guest, in its µs, as this process's ms. */
  readonly toHostMs: (at: number) => number;
  /** The result may be wrong by so much, either way. */
  readonly uncertaintyMs: number;
}

/** From one question: when it was asked and its answer heard here, and what the guest's clock said in between. */
export function guestClock(answer: {
  readonly askedMs: number;
  readonly heardMs: number;
  readonly at: number;
}): GuestClock {
  const { askedMs, heardMs, at } = answer;
  const offsetMs = (askedMs + heardMs) / 2 - at / 1_000;
  return { toHostMs: (time) => time / 1_000 + offsetMs, uncertaintyMs: (heardMs - askedMs) / 2 };
}
