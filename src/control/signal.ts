/**
 * What is known about one quantity. It is either known, with the time at which it was true, or unknown, with the reason.
 * There is no third thing: 0 is a value and never means "unknown".
 */
import type { Millis } from '../units.js';

/**
 * - `not-reported`: the source does not have this signal (an old kernel, a missing file or field)
 * - `unreadable`: the source could not be read this time
 * - `malformed`: it was read and is not what it should be (garbage, cut short)
 * - `implausible`: well formed, and yet it cannot be true
 * - `stale`: it was true too long ago
 */
export type UnknownReason = 'not-reported' | 'unreadable' | 'malformed' | 'implausible' | 'stale';

/** That something is not known, and why. */
export interface Unknown {
  readonly known: false;
  readonly reason: UnknownReason;
  /** What was seen, for a message. */
  readonly detail: string;
}

/** A value as a parser finds it, before anyone has said when it was true. */
export type Field<T> = { readonly known: true; readonly value: T } | Unknown;

/** A value with the time at which it was true. */
export type Signal<T> = { readonly known: true; readonly value: T; readonly at: Millis } | Unknown;

/** A value that a parser found. */
export const known = <T>(value: T): Field<T> => ({ known: true, value });
/** A value that was true at `at`. */
export const knownAt = <T>(value: T, at: Millis): Signal<T> => ({ known: true, value, at });
/** That it is not known; `detail` is for a message. */
export const unknown = (reason: UnknownReason, detail: string): Unknown => ({ known: false, reason, detail });

/** One shared "the source does not have it", so that a reading of a thousand guests does not allocate thousands of them. */
export const NOT_REPORTED: Unknown = unknown('not-reported', 'not reported by this source');

/** Puts a time to what a parser found. */
export function stamp<T>(field: Field<T>, at: Millis): Signal<T> {
  return field.known ? { known: true, value: field.value, at } : field;
}

/** Converts a known field; leaves an unknown one as it is. */
export function mapField<T, U>(field: Field<T>, convert: (value: T) => U): Field<U> {
  return field.known ? { known: true, value: convert(field.value) } : field;
}

/** For whoever shows or compares it, and has no word for why something is not known: null = not known, or no such signal. */
export const knownValue = <T>(field: Field<T> | undefined): T | null => (field?.known === true ? field.value : null);

/** A signal that was true more than `ageMax` before `now` is no longer known. A time in the future counts as stale too. */
export function refuseStale<T>(signal: Signal<T>, now: Millis, ageMax: Millis): Signal<T> {
  if (!signal.known || (now - signal.at <= ageMax && signal.at <= now)) return signal;
  return unknown('stale', `true ${Math.round(now - signal.at)} ms ago, at most ${ageMax} ms are allowed`);
}
