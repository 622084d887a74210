/**
 * What QEMU and the guest's balloon driver say → a reading. The units and what "not reported" looks like are known here and nowhere
 * else. It does not know what the numbers are used for.
 */
import { NOTHING_KNOWN, readingFrom, type Reading } from '../../control/reading.js';
import { knownAt, unknown, type Signal } from '../../control/signal.js';
import type { Said } from '../../inside/index.js';
import type { GuestStats } from '../../qmp/index.js';
import type { HeldBefore } from '../../signals/held-before.js';
import { mergeSignals } from '../../signals/merge.js';
import { outsideBalloon } from '../../signals/outside-balloon.js';
import { growthOf, ownSizes, type PlugSizes } from '../../signals/plugged.js';
import {
  balloonSignals,
  saidAt,
  silentBalloon,
  type BalloonSignals,
  type BalloonSizes,
  type BalloonStats,
  type LookTimes,
} from '../../signals/balloon-stats.js';
import { bytesToPagesDown, pages, pagesToBytes, type Bytes, type GuestSize, type Pages } from '../../units.js';

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
  /** What it kept before, by QEMU, and used. */
  readonly before: HeldBefore;
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
  const { deflatesOnOom, before } = look;
  const said = stats === null ? {} : saidBy(stats, { actual: own.actual, deflatesOnOom, before }, times);
  const asks: Signal<Pages> = asked === null ? NOTHING_KNOWN.asked : knownAt(asked, at);
  const outside = outsideBalloon(mergeSignals([...look.inside.sources, said]), {
    current: own.actual,
    base: own.base,
    deflatesOnOom,
    heldAt: (time) => before.at(time),
  });
  const { refusal } = look.inside;
  const sizes = readingFrom(outside, { at, current, maximum, asked: asks });
  const reading = refusal === null ? sizes : { ...sizes, refusal };
  return look.plugged === undefined ? reading : { ...reading, ...growthOf({ current, maximum }, look.plugged, at) };
}

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
