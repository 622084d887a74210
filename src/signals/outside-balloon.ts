/**
 * What a guest says of its memory → what it has outside of its balloon, as of now. A guest that may deflate its balloon itself goes on
 * counting it as its own memory; another's `MemTotal` falls with it. And what it said is older than what is known of its balloon, which
 * may have moved since. It does not know who says what.
 */
import { signalsWith, type Signals } from '../control/reading.js';
import { knownAt, unknown, type Signal } from '../control/signal.js';
import { addPages, minPages, subtractToZero, type Millis, type Pages } from '../units.js';

export interface BalloonSight {
  /** What the guest keeps now; null: not known, or it has no balloon. */
  readonly current: Pages | null;
  /** What it had without a balloon; null: not known. */
  readonly base: Pages | null;
  /** It may deflate its balloon itself when it runs out of memory, and then most likely counts it as its own. */
  readonly deflatesOnOom: boolean;
  /** What it kept at that time; null: not known. */
  readonly heldAt: (at: Millis) => Pages | null;
}

/** The signals with `total` as what the kernel manages outside of the balloon now, and nothing free beyond that. Never throws. */
export function outsideBalloon(signals: Signals, sight: BalloonSight): Signals {
  return withTotal(signals, totalOutside(signals.total, sight));
}

/** The signals with that total, and nothing free beyond it. */
export const withTotal = (signals: Signals, total: Signal<Pages>): Signals =>
  signalsWith(signals, {
    total,
    free: within(signals.free, total),
    available: within(signals.available, total),
  });

function totalOutside(total: Signal<Pages>, { current, base, deflatesOnOom, heldAt }: BalloonSight): Signal<Pages> {
  if (!total.known || current === null) return total;
  const held = heldAt(total.at) ?? current;
  if (deflatesOnOom && base === null)
    return unknown('not-reported', 'nobody says how much of its memory is in its balloon');
  const outside =
    deflatesOnOom && base !== null && countsBalloon(total.value, held, base)
      ? subtractToZero(total.value, subtractToZero(base, current))
      : subtractToZero(addPages(total.value, current), held);
  return knownAt(outside, total.at);
}

/**
 * Whether a guest that may deflate its balloon counts it as its own. No kernel manages more than it holds, so what is more is in the
 * balloon. Where it is not more, the balloon may still be smaller than what the kernel keeps for itself, and is taken as counted: if it
 * is not, the guest is taken for smaller than it is, and less is taken from it. Only a total that would leave the kernel more than half of
 * the memory for itself is one that fell with the balloon.
 */
const countsBalloon = (total: Pages, held: Pages, base: Pages): boolean =>
  total > held || subtractToZero(base, total) <= base / 2;

/** What was free in a larger guest a moment ago: no more of it is now than the guest has. */
const within = (part: Signal<Pages>, total: Signal<Pages>): Signal<Pages> =>
  part.known && total.known ? knownAt(minPages(part.value, total.value), part.at) : part;
