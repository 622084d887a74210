/**
 * What is plugged into a guest beyond its boot memory → what it holds and can hold in all. Balloons count boot memory alone, and a guest
 * counts both. It does not know how memory is plugged in.
 */
import type { Reading } from '../control/reading.js';
import { knownAt, unknown, type Signal } from '../control/signal.js';
import { addPages, type Millis, type Pages } from '../units.js';

/** All devices of one guest together. */
export interface PlugSizes {
  readonly plugged: Pages;
  /** What it was last asked to have plugged in, by whoever asked. */
  readonly asked: Pages;
  /** Most that can be. */
  readonly pluggable: Pages;
}

interface OfBalloon {
  /** What the guest keeps; null: the host does not say. */
  readonly actual: Pages | null;
  /** What it keeps under an empty balloon; null: the host does not say. */
  readonly base: Pages | null;
}

/** The balloon's sizes as what the guest counts as its own: plugged memory too. Null: what is plugged in is not known, nor are they. */
export function ownSizes({ actual, base }: OfBalloon, seen: PlugSizes | null | undefined): OfBalloon {
  if (seen === undefined) return { actual, base };
  const withMore = (size: Pages | null): Pages | null =>
    size === null || seen === null ? null : addPages(size, seen.plugged);
  return { actual: withMore(actual), base: withMore(base) };
}

type Sizes = Pick<Reading, 'current' | 'maximum'>;

/** What a reading of a guest that can grow has besides. `seen` null: nobody says what is plugged in, and so nobody knows the whole. */
export function growthOf({ current, maximum }: Sizes, seen: PlugSizes | null, at: Millis): Partial<Reading> {
  if (seen === null) {
    const silent = unknown('unreadable', 'nobody says what is plugged into its memory devices');
    return { current: silent, maximum: silent, growth: { plugged: silent, asked: silent, pluggable: silent } };
  }
  const { plugged, asked, pluggable } = seen;
  return {
    current: plus(current, plugged),
    maximum: plus(maximum, pluggable),
    growth: { plugged: knownAt(plugged, at), asked: knownAt(asked, at), pluggable: knownAt(pluggable, at) },
  };
}

const plus = (size: Signal<Pages>, more: Pages): Signal<Pages> =>
  size.known ? knownAt(addPages(size.value, more), size.at) : size;
