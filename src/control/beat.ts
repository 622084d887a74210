/** When a guest is looked at next: on an even beat, which it shares with others. It does not know how long a round is. */
import { millis, type Millis } from '../units.js';

/**
 * To be woken for each of a large host's guests costs more than to look at it, and the last of 25 that are looked at together is late by a
 * few milliseconds: measured in docs/decisions/0019. Whole seconds, which intervals are, are multiples of it.
 */
const BEAT_MS = 125;

/** Times since 1970 are floating-point numbers, and what is computed from them is off by less than this. */
const ROUNDING_MS = 0.01;

/** The first beat that is not before `at`. */
export const atNextBeat = (at: Millis): Millis => millis(Math.ceil((at - ROUNDING_MS) / BEAT_MS) * BEAT_MS);

/**
 * What was due at `due`, happens now and is wished for at `wakeAt` again comes whole intervals after it was due, and not after it could
 * happen: otherwise every guest would be late by its own answers, and those that are once looked at together would be from then on, more
 * and more of them. Never sooner than half an interval from now.
 */
export function onTheBeat(wakeAt: Millis, { due, now }: { readonly due: Millis; readonly now: Millis }): Millis {
  const interval = wakeAt - now;
  if (interval <= 0) return wakeAt;
  const missed = Math.floor((now - due) / interval + 1 / 2);
  return atNextBeat(millis(due + interval * (1 + missed)));
}
