/**
 * The most that a guest may have, taken from its balloon while that stands still. The driver's counts are read one after the other, and are
 * moved one after the other: on its way their sum is off by what is just between two of them, and a target above what there is has Linux add
 * memory that nobody stands behind. It reads nothing.
 */
import { unknown, type Field } from '../../control/signal.js';
import type { Pages } from '../../units.js';
import type { BalloonSizes } from './codec.js';

/** The driver may stop a page or so from its target (seen: one, on Linux 6.1). */
const NEAR_PAGES = 4;

const MOVING = unknown('unreadable', 'the balloon is on its way, and its counts do not add up before it rests');

export class RestingMaximum {
  #maximum: Field<Pages> = MOVING;
  #before: BalloonSizes | null = null;

  /** To be told of each look; gives the sum of the last at which the balloon stood still. Unknown, with the reason, before the first. */
  seen(sizes: BalloonSizes): Field<Pages> {
    if (!sizes.maximum.known) return sizes.maximum;
    if (isAtTarget(sizes) || isAsBefore(this.#before, sizes)) this.#maximum = sizes.maximum;
    this.#before = sizes;
    return this.#maximum;
  }
}

/** Where nobody says what its target is, there is nothing to go by. */
function isAtTarget({ current, target }: BalloonSizes): boolean {
  if (!target.known || !current.known) return true;
  return Math.abs(target.value - current.value) <= NEAR_PAGES;
}

/** It may be stuck, and never come to its target. */
function isAsBefore(before: BalloonSizes | null, { current, maximum }: BalloonSizes): boolean {
  if (before === null || !before.current.known || !before.maximum.known) return false;
  if (!current.known || !maximum.known) return false;
  return before.current.value === current.value && before.maximum.value === maximum.value;
}
