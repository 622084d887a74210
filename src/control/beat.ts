/**
 * The beats on which a host's guests are looked at, so that many of them share the work of one look without all being looked at in the
 * same instant. Each guest keeps its own, whatever happens between two. It decides nothing about a guest.
 */
import { addMillis, millis, type Millis } from '../units.js';
import type { GuestDescription } from './ports.js';

/** Intervals are whole seconds, so that beats of a second fit into all of them. */
const SECOND = millis(1_000);
/**
 * The parts of a second among which guests are spread. To be woken for each of a large host's guests costs more than to look at it, and the
 * last of 40 that are looked at together is late by a few milliseconds: measured in docs/decisions/0019.
 */
const PARTS = 5;
/** Guests that are seen in one look share one beat as long as the interval, or a part of it no longer than this: a new one waits for it. */
const COMMON_SECONDS_MAX = 10;
/** Times since 1970 are floating-point numbers, and what is computed from them is off by less than this. */
const ROUNDING_MS = 0.01;

/** A guest's own beat: at `phase`, and every `length` from then on. Null: it has no company, and anything goes. */
export interface Beat {
  readonly length: Millis;
  readonly phase: Millis;
}

/** The beat of a guest that is asked about every `interval`. */
export function beatOf({ id, pool, isSeenWithAll = false }: GuestDescription, interval: Millis): Beat | null {
  if (pool === undefined) return null;
  if (isSeenWithAll) return { length: commonLength(interval), phase: millis(0) };
  return beatInSecond({ id });
}

/** Where in each second a guest's beats are, whatever its interval. */
export function beatInSecond(guest: Pick<GuestDescription, 'id' | 'isSeenWithAll'>): Beat {
  return { length: SECOND, phase: guest.isSeenWithAll === true ? millis(0) : phaseOf(guest.id) };
}

/** The longest that fits into the interval, so that the interval is kept. */
function commonLength(interval: Millis): Millis {
  const seconds = Math.max(1, Math.round(interval / SECOND));
  let length = Math.min(seconds, COMMON_SECONDS_MAX);
  while (seconds % length !== 0) length -= 1;
  return millis(length * SECOND);
}

const phaseOf = (id: string): Millis => millis((spread(id) * SECOND) / PARTS);

/** A part of a second by the name alone: the same after a restart. Names that differ in a number only are spread evenly. */
function spread(id: string): number {
  let sum = 0;
  for (let at = 0; at < id.length; at += 1) sum = (sum * 31 + id.charCodeAt(at)) % 65_521;
  return sum % PARTS;
}

/** The first beat that is not before `at`. */
export function beatFrom(at: Millis, beat: Beat | null): Millis {
  if (beat === null) return at;
  const { length, phase } = beat;
  return millis(Math.ceil((at - phase - ROUNDING_MS) / length) * length + phase);
}

/** The beat that is nearest to `at`. */
export const beatNear = (at: Millis, beat: Beat | null): Millis =>
  beat === null ? at : beatFrom(millis(at - beat.length / 2), beat);

/**
 * What was due at `due` and happens now comes again whole intervals after it was due, and not after it could happen: otherwise every
 * guest would be late by its own answers, and those that are once looked at together would be from then on, more and more of them. What was
 * due off its beat comes back to it, sooner where it can. Never sooner than half an interval from now, nor later than one and a half.
 */
export function nextBeat(
  due: Millis,
  { now, interval, beat }: { readonly now: Millis; readonly interval: Millis; readonly beat: Beat | null },
): Millis {
  const missed = Math.floor((now - due) / interval + 1 / 2);
  const next = addMillis(due, millis(interval * (1 + missed)));
  if (beat === null) return next;
  const last = beatFrom(millis(next - beat.length + 2 * ROUNDING_MS), beat);
  return last - now < interval / 2 - ROUNDING_MS ? addMillis(last, beat.length) : last;
}
