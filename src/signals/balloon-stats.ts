/**
 * What a guest's balloon driver says of its memory (the statistics of virtio-balloon) → signals, with what the balloon itself does to
 * the numbers. It does not know who asks the guest, nor what the signals are used for.
 */
import type { Signals } from '../control/reading.js';
import { known, stamp, unknown, type Field, type Signal, type Unknown } from '../control/signal.js';
import { maxPages, millis, minPages, secondsToMillis, subtractToZero, type Millis, type Pages } from '../units.js';
import type { HeldBefore } from './held-before.js';

/** Each is null where the guest has not said it, or has said what cannot be. */
export interface BalloonStats {
  readonly total: Pages | null;
  /** What it could use without swapping. */
  readonly available: Pages | null;
  /** What is used for nothing at all. */
  readonly free: Pages | null;
  /** What the cache of files holds. */
  readonly cached: Pages | null;
  /**
   * Whether it has swapped anything out since it began. False where it does not say. It had swap then; whether it still has some, and room in
   * it, is in none of virtio's statistics: `swapoff` in a running guest leaves its count of pages swapped out as it was.
   */
  readonly hasSwapped: boolean;
  /** Counted since the guest began. */
  readonly majorFaults: number | null;
  /** Counted since the guest began. */
  readonly oomKills: number | null;
}

/** The balloon, as its host knows it. */
export interface BalloonSizes {
  /** What the guest keeps; null: the host does not say. */
  readonly actual: Pages | null;
  /** The guest is offered to deflate it itself when it runs out of memory. */
  readonly deflatesOnOom: boolean;
  /** What it kept before, and used. */
  readonly before: Pick<HeldBefore, 'since' | 'used'>;
}

/** When the look was: by our own clock, and by the clock on the wall, which times of statistics are of. */
export interface LookTimes {
  readonly at: Millis;
  readonly wall: Millis;
}

export type BalloonSignals = Pick<
  Signals,
  'total' | 'free' | 'available' | 'cached' | 'used' | 'majorFaults' | 'oomKills'
>;

/** Hosts count whole seconds here, and so may be up to one ahead. */
const AHEAD_MAX = 1_000;

/**
 * When the guest said it, by our clock. `lastUpdate`: in seconds since 1970; null: it has not said anything yet. One that is more than a
 * second in the future is unknown.
 */
export function saidAt(lastUpdate: number | null, { at, wall }: LookTimes): Field<Millis> {
  if (lastUpdate === null) return unknown('not-reported', 'its balloon driver has not reported anything yet');
  const age = wall - secondsToMillis(lastUpdate);
  if (age < -AHEAD_MAX)
    return unknown('implausible', `its balloon's statistics are ${Math.round(Math.abs(age))} ms in the future`);
  return known(millis(at - Math.max(0, age)));
}

/** The signals, all of the time `at`. Never throws, whatever the guest says. */
export function balloonSignals(stats: BalloonStats, sizes: BalloonSizes, at: Millis): BalloonSignals {
  const said = <T>(value: T | null, name: string): Signal<T> =>
    stamp(value === null ? missing(name) : known(value), at);
  return {
    total: said(stats.total, 'its total memory'),
    free: said(stats.free, 'its free memory'),
    available: said(stats.available, 'its available memory'),
    cached: said(stats.cached, 'its page cache'),
    used: stamp(usedOf(stats, sizes, at), at),
    majorFaults: said(stats.majorFaults, 'its major faults'),
    oomKills: said(stats.oomKills, 'its OOM kills'),
  };
}

/** The signals of a guest whose statistics are not known for this reason. */
export const silentBalloon = (why: Unknown): BalloonSignals => ({
  total: why,
  free: why,
  available: why,
  cached: why,
  used: why,
  majorFaults: why,
  oomKills: why,
});

const missing = (what: string): Unknown => unknown('not-reported', `its balloon driver does not report ${what}`);

/**
 * What is in use: of what the guest held, all that is not available. So what its kernel keeps for itself and never manages is in it, 54 MiB
 * of 512 and 117 of 384 in guests that were seen, and what is in the balloon is not, whether or not the guest counts it.
 *
 * Where its balloon has moved since the second in which it said so, it is not known what it held at that moment. It is taken to have said
 * it of what it holds now, so that one that is growing is given more without delay; but not to use less than before for having been made
 * smaller since, nor more for having said it while it was larger: that would be given back to it at once, and taken again.
 *
 * Not told of a guest that nothing would catch if it ran short: its balloon does not deflate by itself, and it has never swapped, so
 * that nobody knows whether it could. One that has is believed for as long as it runs, though its swap may have been switched off since: to ask
 * for swapping of late instead would leave each guest at its largest size as soon as it has what it needs and swaps no more.
 */
function usedOf(stats: BalloonStats, { actual, deflatesOnOom, before }: BalloonSizes, at: Millis): Field<Pages> {
  const { total, available, hasSwapped } = stats;
  if (!deflatesOnOom && !hasSwapped) return NOTHING_CATCHES;
  if (total === null || available === null) return missing('what of its memory is available');
  if (available > total) return unknown('implausible', 'it has more memory available than it has');
  const { most, last } = before.since(at) ?? { most: actual ?? total, last: actual ?? total };
  const [usedMost, usedNow] = [subtractToZero(most, available), subtractToZero(last, available)];
  return known(minPages(usedMost, maxPages(usedNow, before.used ?? usedMost)));
}

const NOTHING_CATCHES = unknown(
  'not-reported',
  'what it uses is not looked at: its balloon does not deflate on OOM, and it has not swapped yet',
);
