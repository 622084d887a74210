/**
 * What QEMU and the guest's balloon driver say → a reading. The units and what "not reported" looks like are known here and nowhere
 * else. It does not know what the numbers are used for.
 */
import { NOTHING_KNOWN, type Reading } from '../../control/reading.js';
import { knownAt, stamp, unknown, type Field, type Signal, type Unknown } from '../../control/signal.js';
import type { Said } from '../../inside/index.js';
import type { GuestStats } from '../../qmp/index.js';
import { mergeSignals } from '../../signals/merge.js';
import { outsideBalloon } from '../../signals/outside-balloon.js';
import {
  bytes,
  bytesToPagesDown,
  millis,
  pages,
  pagesToBytes,
  secondsToMillis,
  subtractToZero,
  type Bytes,
  type GuestSize,
  type Millis,
  type Pages,
} from '../../units.js';

/** One look at a machine, with what is known of it. */
export interface MachineLook {
  /** What the guest keeps, by QEMU; null: it has no balloon, or does not say. */
  readonly actual: Bytes | null;
  /** What it was started with. */
  readonly base: Bytes | null;
  readonly stats: GuestStats | null;
  readonly deflatesOnOom: boolean;
  /** What it was last asked to keep by us; null: nothing yet. */
  readonly asked: Pages | null;
  /** What is known from inside the guest. */
  readonly inside: Said;
  /** What it kept at that time, by QEMU; null: not known. */
  readonly heldAt: (at: Millis) => Pages | null;
}

/** When the look was: by our own clock, and by the clock on the wall, which is QEMU's. */
export interface LookTimes {
  readonly at: Millis;
  readonly wall: Millis;
}

/** QEMU counts whole seconds, and so may be up to one ahead. */
const AHEAD_MAX = 1_000;

/** Makes the reading. Never throws, whatever the guest says. */
export function readingOf(look: MachineLook, times: LookTimes): Reading {
  const { at } = times;
  const { actual, base, asked } = look;
  const noBalloon = unknown('not-reported', 'it has no balloon, or QEMU does not say what it holds');
  const current: Signal<Pages> = actual === null ? noBalloon : knownAt(bytesToPagesDown(actual), at);
  const maximum: Signal<Pages> =
    base === null
      ? unknown('not-reported', 'this QEMU does not say how much memory the machine has')
      : knownAt(bytesToPagesDown(base), at);
  const said = look.stats === null ? {} : statsOf(look, look.stats, times);
  const asks: Signal<Pages> = asked === null ? NOTHING_KNOWN.asked : knownAt(asked, at);
  const outside = outsideBalloon(mergeSignals([...look.inside.sources, said]), {
    current: current.known ? current.value : null,
    base: maximum.known ? maximum.value : null,
    deflatesOnOom: look.deflatesOnOom,
    heldAt: look.heldAt,
  });
  const { refusal } = look.inside;
  return { ...outside, ...(refusal === null ? {} : { refusal }), at, current, maximum, asked: asks };
}

function statsOf(look: MachineLook, stats: GuestStats, times: LookTimes): Partial<Reading> {
  const saidAt = timeOf(stats.lastUpdate, times);
  if (!saidAt.known) return silent(saidAt);
  const size = (value: Bytes | null, name: string): Signal<Pages> =>
    stamp(value === null ? missing(name) : { known: true, value: bytesToPagesDown(value) }, saidAt.value);
  const count = (value: number | null, name: string): Signal<number> =>
    stamp(value === null ? missing(name) : { known: true, value }, saidAt.value);
  return {
    total: size(stats.totalMemory, 'its total memory'),
    free: size(stats.freeMemory, 'its free memory'),
    available: size(stats.availableMemory, 'its available memory'),
    cached: size(stats.diskCaches, 'its page cache'),
    used: stamp(usedOf(look, stats), saidAt.value),
    majorFaults: count(stats.majorFaults, 'its major faults'),
    oomKills: count(stats.oomKills, 'its OOM kills'),
  };
}

const missing = (what: string): Unknown => unknown('not-reported', `its balloon driver does not report ${what}`);

const silent = (why: Unknown): Partial<Reading> => ({
  total: why,
  free: why,
  available: why,
  cached: why,
  used: why,
  majorFaults: why,
  oomKills: why,
});

/** When the guest said it, by our clock. */
function timeOf(lastUpdate: number | null, { at, wall }: LookTimes): Field<Millis> {
  if (lastUpdate === null) return unknown('not-reported', 'its balloon driver has not reported anything yet');
  const age = wall - secondsToMillis(lastUpdate);
  if (age < -AHEAD_MAX)
    return unknown('implausible', `its balloon's statistics are ${Math.round(Math.abs(age))} ms in the future`);
  return { known: true, value: millis(at - Math.max(0, age)) };
}

/**
 * What is in use: all that is not available. Not told of a guest that nothing would catch if it ran short: its balloon does not deflate
 * by itself, and it has never swapped, so that nobody knows whether it could. A guest that may deflate its balloon itself counts the balloon as memory that is in
 * use; that is taken off, unless its total shows that it does not (a kernel that did not take the offer).
 */
function usedOf({ actual, base, deflatesOnOom }: MachineLook, stats: GuestStats): Field<Pages> {
  const { totalMemory: total, availableMemory: available, swapOut } = stats;
  if (!deflatesOnOom && (swapOut ?? 0) === 0) return NOTHING_CATCHES;
  if (total === null || available === null) return missing('what of its memory is available');
  if (available > total) return unknown('implausible', 'it has more memory available than it has');
  const used = bytesToPagesDown(bytes(total - available));
  const isBalloonInTotal = deflatesOnOom && actual !== null && total > actual;
  if (!isBalloonInTotal || base === null) return { known: true, value: used };
  const taken = subtractToZero(bytesToPagesDown(base), bytesToPagesDown(actual));
  return { known: true, value: subtractToZero(used, taken) };
}

const NOTHING_CATCHES = unknown(
  'not-reported',
  'what it uses is not looked at: its balloon does not deflate on OOM, and it has not swapped yet',
);

/** A target as QEMU takes it; null for what it must never be asked: nothing, or more than 2^53 bytes. */
export function formatTarget(target: GuestSize): Bytes | null {
  if (target === 0 || target >= TARGET_PAGES_END) return null;
  return pagesToBytes(pages(target));
}

const TARGET_PAGES_END = 2 ** 53 / 4096;
