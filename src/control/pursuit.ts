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

type Progress = Pick<Pursuit, 'phase' | 'distance' | 'progressAt' | 'isUncooperative' | 'failure'>;

/** Written out because it is hot: a spread of this object takes ten times as long on Node.js 20. */
const advance = (pursuit: Pursuit, progress: Progress): Pursuit => ({
  id: pursuit.id,
  target: pursuit.target,
  phase: progress.phase,
  progressAt: progress.progressAt,
  distance: progress.distance,
  isUncooperative: progress.isUncooperative,
  failure: progress.failure,
});

/** The hypervisor answered the request `id`. An answer to another request is ignored. */
export function answerPursuit(pursuit: Pursuit | null, id: ActionId, failure: string | null): Pursuit | null {
  if (pursuit?.id !== id) return pursuit;
  const { distance, progressAt, isUncooperative, phase } = pursuit;
  if (failure !== null) return advance(pursuit, { phase: 'failed', distance, progressAt, isUncooperative, failure });
  if (phase !== 'asked') return pursuit;
  return advance(pursuit, { phase: 'accepted', distance, progressAt, isUncooperative, failure });
}

/** A reading says where the guest is. */
export function observePursuit(pursuit: Pursuit | null, current: Pages, now: Millis): Pursuit | null {
  if (pursuit === null || pursuit.phase === 'failed') return pursuit;
  const { phase, progressAt, failure } = pursuit;
  const distance = distanceTo(pursuit.target, current);
  const moved = (to: PursuitPhase): Pursuit =>
    advance(pursuit, { phase: to, distance, progressAt: now, isUncooperative: false, failure });
  if (distance <= REACHED_WITHIN) {
    return phase === 'reached' && pursuit.distance === distance ? pursuit : moved('reached');
  }
  // Somebody else moved it, or it moved by itself: its patience begins now, not when it arrived.
  if (phase === 'reached') return moved('accepted');
  if (pursuit.distance === null) {
    return advance(pursuit, { phase, distance, progressAt, isUncooperative: pursuit.isUncooperative, failure });
  }
  if (distance < pursuit.distance) return moved('accepted');
  const quiet = now - progressAt;
  if (quiet < STUCK_AFTER) return pursuit;
  const isUncooperative = pursuit.isUncooperative || quiet >= UNCOOPERATIVE_AFTER;
  return advance(pursuit, { phase: 'stuck', distance: pursuit.distance, progressAt, isUncooperative, failure });
}
