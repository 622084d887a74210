/**
 * The memory that the guests of one host share, and the one rule about it: memory is free before it is promised. It decides how
 * much a guest may be told to take; whether the guest should have it, and who else would like it, is not its business.
 */
import { addPages, millis, minPages, pages, subtractToZero, type Millis, type Pages } from '../units.js';
import type { Signal } from './signal.js';

/** Names one host's memory, as its adapter does. */
export type PoolId = string;

/** One look at a host's own memory. */
export interface HostReading {
  readonly pool: PoolId;
  /** When the look was begun: what it saw was true then or later. */
  readonly at: Millis;
  /** What the host has in all. */
  readonly total: Signal<Pages>;
  /** What nobody holds. Promised memory that a guest has not taken yet is still in it. */
  readonly free: Signal<Pages>;
  /** What must stay free whatever guests want. */
  readonly reserve: Pages;
  /** What a person can do when looks take too long: a sentence. Left out where nobody knows. */
  readonly ifSlow?: string;
}

/** What was free longer ago than this may be taken by now. */
export const HOST_READING_AGE_MAX = millis(1_500);

/** What a guest's growth must fit in. */
export interface PoolView {
  /** When that was seen; null: it is not known. */
  readonly at: Millis | null;
  /** 0 where it is not known: what is not known to be free is not promised. */
  readonly free: Pages;
  readonly reserve: Pages;
  /** To other guests, and not taken by them yet. */
  readonly promised: Pages;
  /** Part of what it wants that it may have at most, 0 to 1: below 1 while all guests want everything at once. */
  readonly share: number;
}

/** What may be promised now. */
export const spareIn = ({ free, reserve, promised }: Pick<PoolView, 'free' | 'reserve' | 'promised'>): Pages =>
  subtractToZero(free, addPages(reserve, promised));

/** The size that a guest which holds `held` may be told to have, where it wants `wanted`. Giving up is always granted. */
export function grantGrowth(wanted: Pages, held: Pages, view: PoolView): Pages {
  if (wanted <= held) return wanted;
  const growth = pages(Math.floor((wanted - held) * view.share));
  return addPages(held, minPages(growth, spareIn(view)));
}
