/**
 * What a guest's kernel keeps for itself of what the guest holds, and never manages: the same at all sizes, so that it tells what the
 * kernel manages also while memory is being plugged in or out. Then what the host says of the guest and what the guest says of itself are
 * of different moments, seconds apart where it is slow, and a block is plugged in some time before the kernel has brought it online. It
 * does not know who says what.
 */
import { REACHED_WITHIN } from '../control/pursuit.js';
import type { Reading } from '../control/reading.js';
import { knownAt, unknown } from '../control/signal.js';
import { NO_PAGES, pages, type Pages } from '../units.js';
import { Onlining, STILL_FOR, type PlugSight } from './onlining.js';
import { withTotal } from './outside-balloon.js';

export class KernelShare {
  readonly #isHostLate: boolean;
  #last: PlugSight | null = null;
  /** Below 0 of a guest that goes on counting what it does not hold; null: not known yet. */
  #kept: number | null = null;
  readonly #onlining = new Onlining();

  /** `isHostLate`: what the host says of a balloon that moves is old, so that a guest which cannot grow needs this too. */
  constructor({ isHostLate }: { readonly isHostLate: boolean }) {
    this.#isHostLate = isHostLate;
  }

  /**
   * The reading of a guest that can grow, with the total that is right for what it holds; any other as it is. What its kernel keeps is
   * learnt from two looks with the same sizes, between which the guest has spoken: at first where nothing is on its way, and anew only
   * where they lie 10 s apart. Before it is known, the total is taken as it comes; and what is plugged in and does not come online is no part
   * of it, once that is known.
   */
  settle(reading: Reading): Reading {
    const { current, total, growth, at } = reading;
    if ((growth === undefined && !this.#isHostLate) || !current.known || !total.known) return reading;
    const [held, plugged] = [current.value, growth?.plugged.known === true ? growth.plugged.value : NO_PAGES];
    const sight = { held, plugged, total: total.value, saidAt: total.at, at };
    const offline = this.#kept === null ? NO_PAGES : this.#onlining.see(sight, this.#kept);
    this.#learn(sight, isAtRest(reading));
    if (this.#kept === null) return reading;
    const managed = pages(Math.max(0, held - this.#kept - (offline ?? NO_PAGES)));
    const settled =
      managed === total.value ? reading : { ...reading, ...withTotal(reading, knownAt(managed, total.at)) };
    return withOffline(settled, offline);
  }

  /** After what is online was looked at: what comes online late would be taken for what the kernel keeps. */
  #learn(sight: PlugSight, isAtRest: boolean): void {
    const last = this.#last;
    const { held, plugged, total, saidAt, at } = sight;
    if (last?.held !== held || last.total !== total) this.#last = sight;
    else if (saidAt > last.at && (this.#isNew(isAtRest) || at - last.at >= STILL_FOR))
      this.#kept = held - total - this.#onlining.missing(plugged);
  }

  #isNew(isAtRest: boolean): boolean {
    return this.#kept === null && isAtRest;
  }
}

/** Null: something may be on its way. Nothing is said where all is online: that is nearly always. */
function withOffline(reading: Reading, offline: Pages | null): Reading {
  const { growth, at } = reading;
  if (growth === undefined || offline === NO_PAGES) return reading;
  return { ...reading, growth: { ...growth, offline: offline === null ? ON_ITS_WAY : knownAt(offline, at) } };
}

const ON_ITS_WAY = unknown('not-reported', 'what was plugged in may still come online');

/** Whether nothing that was asked for is on its way. */
function isAtRest({ current, asked, growth }: Reading): boolean {
  const { plugged, asked: plugAsked } = growth ?? { plugged: current, asked: current };
  const isThere = !asked.known || !current.known || growth !== undefined || isNear(asked.value, current.value);
  return isThere && plugged.known && plugAsked.known && plugged.value === plugAsked.value;
}

const isNear = (one: Pages, other: Pages): boolean => Math.abs(one - other) <= REACHED_WITHIN;
