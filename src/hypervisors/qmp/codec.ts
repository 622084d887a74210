/**
 * What QEMU and the guest's balloon driver say → a reading. The units and what "not reported" looks like are known here and nowhere
 * else. It does not know what the numbers are used for.
 */
import { NOTHING_KNOWN, type Reading } from '../../control/reading.js';
import { knownAt, unknown, type Signal } from '../../control/signal.js';
import type { Said } from '../../inside/index.js';
import type { GuestStats } from '../../qmp/index.js';
import { mergeSignals } from '../../signals/merge.js';
import { outsideBalloon } from '../../signals/outside-balloon.js';
import {
  balloonSignals,
  saidAt,
  silentBalloon,
  type BalloonSignals,
  type BalloonSizes,
  type BalloonStats,
  type LookTimes,
} from '../../signals/balloon-stats.js';
import {
  addPages,
  bytes,
  bytesToPagesDown,
  pages,
  pagesToBytes,
  type Bytes,
  type GuestSize,
  type Millis,
  type Pages,
} from '../../units.js';
import type { PlugSizes } from './memory-devices.js';

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
  /** What is plugged in beyond that; null: QEMU did not say. Left out: nothing can be plugged in. */
  readonly plugged?: PlugSizes | null;
}

/** Makes the reading. Never throws, whatever the guest says. */
export function readingOf(look: MachineLook, times: LookTimes): Reading {
  const { at } = times;
  const { asked, stats } = look;
  const [actual, base] = [inPages(look.actual), inPages(look.base)];
  const noBalloon = unknown('not-reported', 'it has no balloon, or QEMU does not say what it holds');
  const current: Signal<Pages> = actual === null ? noBalloon : knownAt(actual, at);
  const maximum: Signal<Pages> =
    base === null
      ? unknown('not-reported', 'this QEMU does not say how much memory the machine has')
      : knownAt(base, at);
  const own = ownSizes({ actual, base }, look.plugged);
  const said = stats === null ? {} : saidBy(stats, { ...own, deflatesOnOom: look.deflatesOnOom }, times);
  const asks: Signal<Pages> = asked === null ? NOTHING_KNOWN.asked : knownAt(asked, at);
  const outside = outsideBalloon(mergeSignals([...look.inside.sources, said]), {
    current: own.actual,
    base: own.base,
    deflatesOnOom: look.deflatesOnOom,
    heldAt: look.heldAt,
  });
  const { refusal } = look.inside;
  const reading = { ...outside, ...(refusal === null ? {} : { refusal }), at, current, maximum, asked: asks };
  return look.plugged === undefined ? reading : { ...reading, ...growthOf({ current, maximum }, look.plugged, at) };
}

type Own = Pick<BalloonSizes, 'actual' | 'base'>;

/** What the guest counts as its own: plugged memory too. */
export function ownSizes({ actual, base }: Own, plugged: PlugSizes | null | undefined): Own {
  const more = bytesToPagesDown(plugged?.plugged ?? bytes(0));
  const withMore = (size: Pages | null): Pages | null => (size === null ? null : addPages(size, more));
  return { actual: withMore(actual), base: withMore(base) };
}

type Sizes = Pick<Reading, 'current' | 'maximum'>;

/** Without the plugged part nobody knows the whole. */
function growthOf({ current, maximum }: Sizes, seen: PlugSizes | null, at: Millis): Partial<Reading> {
  if (seen === null) {
    const silent = unknown('unreadable', 'QEMU did not say what is plugged into its memory devices');
    return { current: silent, maximum: silent, growth: { plugged: silent, asked: silent, pluggable: silent } };
  }
  const [plugged, pluggable] = [bytesToPagesDown(seen.plugged), bytesToPagesDown(seen.pluggable)];
  return {
    current: plus(current, plugged),
    maximum: plus(maximum, pluggable),
    growth: {
      plugged: knownAt(plugged, at),
      asked: knownAt(bytesToPagesDown(seen.asked), at),
      pluggable: knownAt(pluggable, at),
    },
  };
}

const plus = (size: Signal<Pages>, more: Pages): Signal<Pages> =>
  size.known ? knownAt(addPages(size.value, more), size.at) : size;

function saidBy(stats: GuestStats, sizes: BalloonSizes, times: LookTimes): BalloonSignals {
  const at = saidAt(stats.lastUpdate, times);
  return at.known ? balloonSignals(inBalloonStats(stats), sizes, at.value) : silentBalloon(at);
}

const inBalloonStats = (stats: GuestStats): BalloonStats => ({
  total: inPages(stats.totalMemory),
  available: inPages(stats.availableMemory),
  free: inPages(stats.freeMemory),
  cached: inPages(stats.diskCaches),
  hasSwapped: (stats.swapOut ?? 0) > 0,
  majorFaults: stats.majorFaults,
  oomKills: stats.oomKills,
});

const inPages = (size: Bytes | null): Pages | null => (size === null ? null : bytesToPagesDown(size));

/** A target as QEMU takes it; null for what it must never be asked: nothing, or more than 2^53 bytes. */
export function formatTarget(target: GuestSize): Bytes | null {
  if (target === 0 || target >= TARGET_PAGES_END) return null;
  return pagesToBytes(pages(target));
}

const TARGET_PAGES_END = 2 ** 53 / 4096;
