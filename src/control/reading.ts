/**
 * One look at one guest: every signal that any source can have. A source fills in what it has and leaves the rest unknown.
 */
import type { Millis, Pages } from '../units.js';
import { NOT_REPORTED, type Signal } from './signal.js';

/** Names a guest: the adapter's kind, a slash, and the adapter's own name for it. Never empty, at most 255 characters. */
export type GuestId = string;

/** Share of time, in percent (0 to 100), in which some (or all) tasks waited for memory; the kernel's 10 s average. */
export interface Pressure {
  readonly somePercent: number;
  readonly fullPercent: number;
}

/** Every signal that a source can have. Sizes are pages of 4 KiB, counts begin with the guest's boot. */
export interface Signals {
  /** What the guest holds in all, plugged memory included, as its balloon driver or its hypervisor says. */
  readonly current: Signal<Pages>;
  /** What its balloon was last asked to leave it of its boot memory, by whoever asked. Unknown where nobody can tell. */
  readonly asked: Signal<Pages>;
  /** What the guest could hold at most, with all that can be plugged in. */
  readonly maximum: Signal<Pages>;
  /** RAM that the guest's kernel manages now: `MemTotal`, the specification's `totalramPages`. */
  readonly total: Signal<Pages>;
  readonly free: Signal<Pages>;
  readonly available: Signal<Pages>;
  readonly cached: Signal<Pages>;
  /** Memory promised to processes: `Committed_AS`. */
  readonly committed: Signal<Pages>;
  /** RAM that the kernel keeps for itself: the specification's `totalreservePages`. */
  readonly reserve: Signal<Pages>;
  /** Highest page frame number that the guest could have. */
  readonly maxPfn: Signal<Pages>;
  /** What is in use in the guest, with what it has swapped out: all that some sources tell. */
  readonly used: Signal<Pages>;
  readonly swapTotal: Signal<Pages>;
  readonly swapUsed: Signal<Pages>;
  /** Pages in the overflow tier (frontswap once; swap stripes over zram now). Unknown where there is no such tier. */
  readonly overflowUsed: Signal<Pages>;
  /** Pages read back into the page cache soon after they had been pushed out; counted since boot. */
  readonly refaults: Signal<number>;
  /** Page faults that had to wait for a disk; counted since boot. */
  readonly majorFaults: Signal<number>;
  /** Processes killed because there was no memory; counted since boot. */
  readonly oomKills: Signal<number>;
  readonly pressure: Signal<Pressure>;
}

/** What lies beyond a guest's boot memory. */
export interface GrowthSignals {
  /** What it has really plugged in: a part of `current`. */
  readonly plugged: Signal<Pages>;
  /** What it was last asked to have plugged in, by whoever asked. */
  readonly asked: Signal<Pages>;
  /** Most that can be plugged in: a part of `maximum`. */
  readonly pluggable: Signal<Pages>;
  /**
   * What of the plugged memory its kernel does not bring online, so that it is of no use. Unknown while that may still come; left out where
   * nothing is missing, or nobody looks.
   */
  readonly offline?: Signal<Pages>;
}

/** One look at one guest. JSON data. */
export interface Reading extends Signals {
  /** When the look was finished. */
  readonly at: Millis;
  /**
   * Why the newest thing that the guest said of itself was not understood; left out where it was. What is known of it is then from
   * before, and grows old.
   */
  readonly refusal?: string;
  /** Left out of a guest that can have no more than its boot memory. */
  readonly growth?: GrowthSignals;
}

/**
 * Whether somebody in the guest says what it needs, or has said so. What was reported once and is stale or nonsense now is not
 * "never reported".
 */
export const isReported = ({ committed, used }: Signals): boolean =>
  [committed, used].some((signal) => signal.known || signal.reason !== 'not-reported');

/** Whether somebody in the guest says anything of its memory, or has said so: also what is not enough to say what it needs. */
export const isSpeaking = (signals: Signals): boolean =>
  isReported(signals) || signals.total.known || signals.available.known || signals.free.known;

/**
 * `signals` with some of them changed. Written out because it is made for every guest in every round: a spread takes ten times as long
 * (docs/decisions/0007), and what it makes has many forms, so that everything that looks at it is slower too.
 */
export const signalsWith = (signals: Signals, changed: Partial<Signals>): Signals => ({
  current: changed.current ?? signals.current,
  asked: changed.asked ?? signals.asked,
  maximum: changed.maximum ?? signals.maximum,
  total: changed.total ?? signals.total,
  free: changed.free ?? signals.free,
  available: changed.available ?? signals.available,
  cached: changed.cached ?? signals.cached,
  committed: changed.committed ?? signals.committed,
  reserve: changed.reserve ?? signals.reserve,
  maxPfn: changed.maxPfn ?? signals.maxPfn,
  used: changed.used ?? signals.used,
  swapTotal: changed.swapTotal ?? signals.swapTotal,
  swapUsed: changed.swapUsed ?? signals.swapUsed,
  overflowUsed: changed.overflowUsed ?? signals.overflowUsed,
  refaults: changed.refaults ?? signals.refaults,
  majorFaults: changed.majorFaults ?? signals.majorFaults,
  oomKills: changed.oomKills ?? signals.oomKills,
  pressure: changed.pressure ?? signals.pressure,
});

/** The reading of the time `at`: `signals`, with what its host knows itself. Written out as above. */
export const readingFrom = (signals: Signals, own: Pick<Reading, 'at' | 'current' | 'asked' | 'maximum'>): Reading => ({
  at: own.at,
  current: own.current,
  asked: own.asked,
  maximum: own.maximum,
  total: signals.total,
  free: signals.free,
  available: signals.available,
  cached: signals.cached,
  committed: signals.committed,
  reserve: signals.reserve,
  maxPfn: signals.maxPfn,
  used: signals.used,
  swapTotal: signals.swapTotal,
  swapUsed: signals.swapUsed,
  overflowUsed: signals.overflowUsed,
  refaults: signals.refaults,
  majorFaults: signals.majorFaults,
  oomKills: signals.oomKills,
  pressure: signals.pressure,
});

/** A reading that knows nothing: what sources start from. */
export const NOTHING_KNOWN: Signals = {
  current: NOT_REPORTED,
  asked: NOT_REPORTED,
  maximum: NOT_REPORTED,
  total: NOT_REPORTED,
  free: NOT_REPORTED,
  available: NOT_REPORTED,
  cached: NOT_REPORTED,
  committed: NOT_REPORTED,
  reserve: NOT_REPORTED,
  maxPfn: NOT_REPORTED,
  used: NOT_REPORTED,
  swapTotal: NOT_REPORTED,
  swapUsed: NOT_REPORTED,
  overflowUsed: NOT_REPORTED,
  refaults: NOT_REPORTED,
  majorFaults: NOT_REPORTED,
  oomKills: NOT_REPORTED,
  pressure: NOT_REPORTED,
};
