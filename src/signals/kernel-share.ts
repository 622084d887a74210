/**
 * What a guest's kernel keeps for itself of what the guest holds, and never manages: the same at all sizes, so that it tells what the
 * kernel manages also while memory is being plugged in or out. Then what the host says of the guest and what the guest says of itself are
 * of different moments, seconds apart where it is slow, and a block is plugged in some time before the kernel has brought it online. It
 * does not know who says what.
 */
import { REACHED_WITHIN } from '../control/pursuit.js';
import type { Reading } from '../control/reading.js';
import { knownAt } from '../control/signal.js';
import { millis, pages, type Millis, type Pages } from '../units.js';
import { withTotal } from './outside-balloon.js';

/** What two looks must agree on. */
interface Sight {
  readonly held: Pages;
  readonly total: Pages;
  /** When the look was finished. */
  readonly at: Millis;
}

/**
 * What stands still for so long has arrived: a guest's own blocks of memory were seen to take up to 3 s each under emulation until the
 * kernel had brought them online, and its total stands still meanwhile.
 */
const STILL_FOR = millis(10_000);

export class KernelShare {
  readonly #isHostLate: boolean;
  #last: Sight | null = null;
  /** Below 0 of a guest that goes on counting what it does not hold; null: not known yet. */
  #kept: number | null = null;

  /** `isHostLate`: what the host says of a balloon that moves is old, so that a guest which cannot grow needs this too. */
  constructor({ isHostLate }: { readonly isHostLate: boolean }) {
    this.#isHostLate = isHostLate;
  }

  /**
   * The reading of a guest that can grow, with the total that is right for what it holds; any other as it is. What its kernel keeps is
   * learnt from two looks with the same sizes, between which the guest has spoken: at first where nothing is on its way, and anew only
   * where they lie 10 s apart. Before it is known, the total is taken as it comes.
   */
  settle(reading: Reading): Reading {
    const { current, total, growth } = reading;
    if ((growth === undefined && !this.#isHostLate) || !current.known || !total.known) return reading;
    this.#learn({ held: current.value, total: total.value, at: reading.at }, total.at, isAtRest(reading));
    if (this.#kept === null) return reading;
    const managed = pages(Math.max(0, current.value - this.#kept));
    return managed === total.value ? reading : { ...reading, ...withTotal(reading, knownAt(managed, total.at)) };
  }

  #learn(sight: Sight, saidAt: Millis, isAtRest: boolean): void {
    const last = this.#last;
    if (last?.held !== sight.held || last.total !== sight.total) this.#last = sight;
    else if (saidAt > last.at && (this.#isNew(isAtRest) || sight.at - last.at >= STILL_FOR))
      this.#kept = sight.held - sight.total;
  }

  #isNew(isAtRest: boolean): boolean {
    return this.#kept === null && isAtRest;
  }
}

/** Whether nothing that was asked for is on its way. */
function isAtRest({ current, asked, growth }: Reading): boolean {
  const { plugged, asked: plugAsked } = growth ?? { plugged: current, asked: current };
  const isThere = !asked.known || !current.known || growth !== undefined || isNear(asked.value, current.value);
  return isThere && plugged.known && plugAsked.known && plugged.value === plugAsked.value;
}

const isNear = (one: Pages, other: Pages): boolean => Math.abs(one - other) <= REACHED_WITHIN;
