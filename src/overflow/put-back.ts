/**
 * Missing stripes: they should be switched on and are not, taken off by us and not put back yet, or found off at the start.
 * Keeps for each when to try again: the wait doubles with each failure, counted in looks, up to a most. Knows no files and
 * no calls.
 */
import type { SelfballoonError } from '../errors.js';

/** Looks between two attempts at most: about five minutes when a look is taken every five seconds. */
export const LOOKS_BETWEEN_MAX = 64;

/** Why a stripe is off. `emptied`: we took it off ourselves. `found-off`: it was off when we started. */
export type WhyOff = 'emptied' | 'found-off';

export interface MissingStripe {
  readonly device: string;
  readonly why: WhyOff;
  /** The priority that it had; null where nobody knows. */
  readonly priority: number | null;
  /** What the last attempt said; null before the first one. */
  readonly error: SelfballoonError | null;
  readonly looksBetween: number;
  readonly looksLeft: number;
}

/** A stripe that is missing from now on, to be tried at the next look. */
export const missingStripe = (device: string, why: WhyOff, priority: number | null): MissingStripe => ({
  device,
  why,
  priority,
  error: null,
  looksBetween: 1,
  looksLeft: 0,
});

/** After a failed attempt: waits twice as long as before. */
export const failedAgain = (missing: MissingStripe, error: SelfballoonError): MissingStripe => ({
  ...missing,
  error,
  looksBetween: Math.min(missing.looksBetween * 2, LOOKS_BETWEEN_MAX),
  looksLeft: missing.looksBetween,
});

/** After a look at which it was not tried. */
export const waitedOneLook = (missing: MissingStripe): MissingStripe => ({
  ...missing,
  looksLeft: Math.max(0, missing.looksLeft - 1),
});

/** Whether it is to be tried at this look. */
export const isDue = (missing: MissingStripe): boolean => missing.looksLeft === 0;
