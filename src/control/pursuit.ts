/**
 * Follows one request to its end: asked, accepted, reached; or refused, or not getting anywhere. A request is a message, not a
 * fact: only a later reading says what came of it.
 */
import { millis, pages, type Millis, type Pages } from '../units.js';
import type { ActionId } from './events.js';

/**
 * - `asked`: on its way, no answer yet
 * - `accepted`: the hypervisor took it; the guest has not got there yet, but moves
 * - `reached`: a reading says that the guest is there
 * - `failed`: the hypervisor refused or failed
 * - `stuck`: no progress towards the target for a while
 */
export type PursuitPhase = 'asked' | 'accepted' | 'reached' | 'failed' | 'stuck';

export interface Pursuit {
  readonly id: ActionId;
  readonly target: Pages;
  readonly phase: PursuitPhase;
  /** When the guest last came nearer to a target, or the pursuit began. */
  readonly progressAt: Millis;
  /** How far it still had to go then; null before the first reading. */
  readonly distance: Pages | null;
  /** Stuck so long that the operator has been told. */
  readonly isUncooperative: boolean;
  /** What the hypervisor said when it failed. */
  readonly failure: string | null;
}

/** A real Xen guest stops up to a few pages from its target (seen: one page). */
export const REACHED_WITHIN = pages(4);
/** No progress for this long is stuck: the limit that other balloon daemons use too, twice a virtio balloon's slowest step. */
export const STUCK_AFTER = millis(5_000);
/** Stuck for this long, and a person should look. */
export const UNCOOPERATIVE_AFTER = millis(60_000);

const distanceTo = (target: Pages, current: Pages): Pages => pages(Math.abs(target - current));

/** A new request. It inherits the patience of the one before: asking again does not make a stuck guest lively. */
export function beginPursuit(
  before: Pursuit | null,
  ask: { readonly id: ActionId; readonly target: Pages; readonly current: Pages | null; readonly now: Millis },
): Pursuit {
  const inherits = before !== null && (before.phase === 'stuck' || before.phase === 'accepted');
  const distance = ask.current === null ? null : distanceTo(ask.target, ask.current);
  return {
    id: ask.id,
    target: ask.target,
    phase: inherits && before.phase === 'stuck' ? 'stuck' : 'asked',
    progressAt: inherits ? before.progressAt : ask.now,
    distance,
    isUncooperative: inherits && before.isUncooperative,
    failure: null,
  };
}

/** The hypervisor answered the request `id`. An answer to another request is ignored. */
export function answerPursuit(pursuit: Pursuit | null, id: ActionId, failure: string | null): Pursuit | null {
  if (pursuit?.id !== id) return pursuit;
  if (failure !== null) return { ...pursuit, phase: 'failed', failure };
  return pursuit.phase === 'asked' ? { ...pursuit, phase: 'accepted' } : pursuit;
}

/** A reading says where the guest is. */
export function observePursuit(pursuit: Pursuit | null, current: Pages, now: Millis): Pursuit | null {
  if (pursuit === null || pursuit.phase === 'failed') return pursuit;
  const distance = distanceTo(pursuit.target, current);
  if (distance <= REACHED_WITHIN) return arrived(pursuit, distance, now);
  if (pursuit.distance === null) return { ...pursuit, distance };
  if (distance < pursuit.distance)
    return { ...pursuit, phase: 'accepted', distance, progressAt: now, isUncooperative: false };
  const quiet = now - pursuit.progressAt;
  if (quiet < STUCK_AFTER) return pursuit;
  return { ...pursuit, phase: 'stuck', isUncooperative: pursuit.isUncooperative || quiet >= UNCOOPERATIVE_AFTER };
}

const arrived = (pursuit: Pursuit, distance: Pages, now: Millis): Pursuit =>
  pursuit.phase === 'reached' && pursuit.distance === distance
    ? pursuit
    : { ...pursuit, phase: 'reached', distance, progressAt: now, isUncooperative: false };
