/**
 * What libvirt says of a domain → a reading, and a target → what libvirt is asked. The units are known here and nowhere else: KiB, of
 * what the guest keeps. It does not know what the numbers are used for.
 */
import { NOTHING_KNOWN, type Reading } from '../../control/reading.js';
import { knownAt, unknown, type Signal, type Unknown } from '../../control/signal.js';
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
  kibToPagesDown,
  minPages,
  pages,
  pagesToKib,
  subtractToZero,
  type GuestSize,
  type KiB,
  type Pages,
} from '../../units.js';
import type { Said } from '../../inside/index.js';
import type { HeldBefore } from '../../signals/held-before.js';
import { mergeSignals } from '../../signals/merge.js';
import { outsideBalloon } from '../../signals/outside-balloon.js';
import { growthOf, ownSizes, type PlugSizes } from '../../signals/plugged.js';
import { STATE_PAUSED, virtioMem, type DomainShape, type DomainStats } from '../../virsh/index.js';
import { outsideBalloonIn, plugsOf } from './memory-devices.js';

/** One look at a domain, with what is known of it. */
export interface DomainLook {
  readonly stats: DomainStats;
  readonly shape: DomainShape;
  /** What it keeps, where libvirt's word is of the kernel before a reset. Null or left out: libvirt's word. */
  readonly keptSinceReset?: Pages | null;
  /** What it was last asked to keep by us; null: nothing yet. */
  readonly asked: Pages | null;
  /** What is known from inside the guest. */
  readonly inside: Said;
  /**
   * What it was asked to come down to not long ago, and may have come down to already: libvirt hears of a balloon once a second at most, so
   * that what it says of one that moves is old. Null or left out: nothing.
   */
  readonly onItsWayTo?: Pages | null;
  /** What it kept before, by libvirt, and used. */
  readonly before: HeldBefore;
  /** What is plugged in beyond its boot memory; null: libvirt did not say. Left out: nothing can be plugged in. */
  readonly plugged?: PlugSizes | null;
}

const NO_BALLOON = unknown('not-reported', 'it has no balloon');
const NO_WORD = unknown('not-reported', 'libvirt does not say what it holds');

/** Makes the reading. Never throws, whatever the guest says. */
export function readingOf(look: DomainLook, times: LookTimes): Reading {
  const { stats, shape, asked, inside, before } = look;
  const { at } = times;
  const actual = look.keptSinceReset ?? heldIn(stats, shape);
  const base = baseIn(stats, shape);
  const silence = shape.balloon === null ? NO_BALLOON : NO_WORD;
  const current: Signal<Pages> = actual === null ? silence : knownAt(actual, at);
  const maximum: Signal<Pages> =
    base === null ? unknown('not-reported', 'libvirt does not say how much memory it has') : knownAt(base, at);
  const deflatesOnOom = shape.balloon?.deflatesOnOom ?? false;
  const since = heldSince(before, ownSizes({ actual: look.onItsWayTo ?? null, base }, look.plugged).actual);
  const sizes = { ...ownSizes({ actual, base }, look.plugged), deflatesOnOom, before: { used: before.used, since } };
  const said = shape.balloon === null ? silentBalloon(NO_BALLOON) : saidBy(stats, sizes, times);
  const asks: Signal<Pages> = asked === null ? NOTHING_KNOWN.asked : knownAt(asked, at);
  const outside = outsideBalloon(mergeSignals([...inside.sources, said]), {
    current: sizes.actual,
    base: sizes.base,
    deflatesOnOom,
    heldAt: (time) => before.at(time),
  });
  const refused = inside.refusal === null ? {} : { refusal: inside.refusal };
  const reading = { ...outside, ...refused, at, current, maximum, asked: asks };
  return look.plugged === undefined ? reading : { ...reading, ...growthOf({ current, maximum }, look.plugged, at) };
}

/** What it held since then, where it may hold as little as `least` by now. */
const heldSince =
  (before: HeldBefore, least: Pages | null): HeldBefore['since'] =>
  (time) => {
    const range = before.since(time);
    return range === null || least === null ? range : { most: range.most, last: minPages(range.last, least) };
  };

function saidBy(stats: DomainStats, sizes: BalloonSizes, times: LookTimes): BalloonSignals {
  if (stats.lastUpdate === null) return silentBalloon(notAsked(stats));
  const at = saidAt(stats.lastUpdate === 0 ? null : stats.lastUpdate, times);
  return at.known ? balloonSignals(inBalloonStats(stats), sizes, at.value) : silentBalloon(at);
}

/** It has a balloon, and was not waited for. That is no silence of the guest. */
const notAsked = ({ state }: DomainStats): Unknown =>
  unknown(
    'unreadable',
    state === STATE_PAUSED
      ? 'it is paused'
      : 'libvirt could not ask its QEMU at once, which is stopped or busy with something else',
  );

const inBalloonStats = (stats: DomainStats): BalloonStats => ({
  total: inPages(stats.total),
  available: inPages(stats.available),
  free: inPages(stats.free),
  cached: inPages(stats.diskCaches),
  hasSwapped: (stats.swapOut ?? 0) > 0,
  majorFaults: stats.majorFaults,
  // Newer balloons count these, and libvirt does not pass them on.
  oomKills: null,
});

const inPages = (size: KiB | null): Pages | null => (size === null ? null : kibToPagesDown(size));

/** What of the host's memory its QEMU has; null: libvirt does not say. */
export const residentIn = ({ resident }: DomainStats): Pages | null =>
  resident === null ? null : kibToPagesDown(resident);

/**
 * What the guest keeps of what it was started with. libvirt counts what virtio-mem adds; QEMU's balloon, and so a target, does not. Where
 * something can be plugged in, both are of one moment, and so from the description.
 */
export function heldIn(stats: DomainStats, shape: DomainShape): Pages | null {
  if (shape.balloon === null) return null;
  const canGrow = plugsOf(shape).length > 0;
  return without(canGrow ? (shape.currentMemory ?? stats.current) : stats.current, virtioMem(shape).current);
}

/** What it keeps under an empty balloon: of what libvirt adds up, boot memory and DIMMs alone, as QEMU's balloon counts them. */
export const baseIn = (stats: DomainStats, shape: DomainShape): Pages | null =>
  without(stats.maximum, outsideBalloonIn(shape));

const without = (size: KiB | null, added: KiB): Pages | null =>
  size === null ? null : subtractToZero(kibToPagesDown(size), kibToPagesDown(added));

/** A target as `virsh setmem` takes it; null for what it must never be asked: nothing, or 2^53 KiB and more. */
export function formatTarget(target: GuestSize): string | null {
  if (target === 0 || target >= TARGET_PAGES_END) return null;
  return String(pagesToKib(pages(target)));
}

const TARGET_PAGES_END = 2 ** 53 / 4;

/** The words that ask a domain to keep so much, and no more; it takes effect at once and is not written into its configuration. */
export const setTargetWords = (uuid: string, kibText: string): readonly string[] => ['setmem', uuid, kibText, '--live'];

/** The words that let its guest be asked for statistics every so many seconds; 0: not at all. */
export const setPeriodWords = (uuid: string, seconds: number): readonly string[] => [
  ...['dommemstat', uuid, '--period', String(seconds)],
  '--live',
];
