/**
 * Follows one request to its end: asked, accepted, reached; or refused, or not getting anywhere. A request is a message, not a
 * fact: only a later reading says what came of it.
 */
import { addMillis, maxPages, millis, minPages, NO_PAGES, pages, type Millis, type Pages } from '../units.js';
import type { ActionId } from './events.js';

/**
 * - `asked`: on its way, no answer yet, and the guest has not moved since
 * - `accepted`: the hypervisor took it; the guest has not got there yet, but moves
 * - `reached`: a reading says that the guest is there
 * - `failed`: the hypervisor refused or failed
 * - `stuck`: no progress towards the target for a while
 */
export type PursuitPhase = 'asked' | 'accepted' | 'reached' | 'failed' | 'stuck';

/** One request, from being asked to being reached. Sizes are pages of the part that it is about: boot memory, or plugged memory. */
export interface Pursuit {
  readonly id: ActionId;
  readonly target: Pages;
  readonly phase: PursuitPhase;
  /** The target that the hypervisor took last, of this request or of one whose patience it inherits; null: none. */
  readonly taken: Pages | null;
  /** The most that it was promised by requests before this one, which stands until this one is taken; 0: nothing. */
  readonly standing: Pages;
  /** When the guest last came nearer to a target, or the pursuit began. */
  readonly progressAt: Millis;
  /** From when on its patience counts: as `progressAt`, but begun anew when a guest that was left out is tried again. */
  readonly patienceFrom: Millis;
  /** How far it still had to go then; null before the first reading. */
  readonly distance: Pages | null;
  /** Stuck so long that the operator has been told. */
  readonly isUncooperative: boolean;
  /** It did not take what it was promised, and the promise was taken back: `target` is what it holds. */
  readonly isWithdrawn: boolean;
  /** What the hypervisor said when it failed. Then `target` is no more than it held, unless the request may have got through. */
  readonly failure: string | null;
}

/** What a guest is asked for, and what it holds then; null = not known. */
export interface PursuitRequest {
  readonly id: ActionId;
  readonly target: Pages;
  readonly current: Pages | null;
  readonly now: Millis;
}

/** A real Xen guest stops up to a few pages from its target (seen: one page). */
export const REACHED_WITHIN = pages(4);
/**
 * No progress for this long is stuck: four times a virtio balloon's slowest step, and short enough to be noticed within the 5 s
 * that other balloon daemons allow, where a guest on its way is looked at every second.
 */
export const STUCK_AFTER = millis(4_000);
/** A guest whose promise was taken back is tried again after this. */
export const LEFT_OUT_FOR = millis(30_000);
/** Stuck for this long, and a person should look. */
export const UNCOOPERATIVE_AFTER = millis(60_000);

/** The most that it may take, by this request or by those before it. */
export const promiseOf = ({ target, standing }: Pursuit): Pages => maxPages(target, standing);

const distanceTo = (target: Pages, current: Pages): Pages => pages(Math.abs(target - current));

/**
 * A new request. It inherits the patience of the one before, as long as that has not reached its end: neither asking again nor a
 * hypervisor that is slow to answer makes a stuck guest lively. One that was left out has new patience, and is still known to be
 * uncooperative; so has one that is to grow, having stood still on its way down.
 */
export function beginPursuit(before: Pursuit | null, ask: PursuitRequest): Pursuit {
  const inherits = before !== null && isPending(before, ask.current);
  const distance = ask.current === null ? null : distanceTo(ask.target, ask.current);
  return {
    id: ask.id,
    target: ask.target,
    phase: inherits && before.phase === 'stuck' ? 'stuck' : 'asked',
    taken: inherits ? before.taken : null,
    standing: before === null ? NO_PAGES : promiseOf(before),
    progressAt: inherits ? before.progressAt : ask.now,
    patienceFrom: inherits && !before.isWithdrawn && !turnsUp(before, ask) ? before.patienceFrom : ask.now,
    distance,
    isUncooperative: inherits && before.isUncooperative,
    isWithdrawn: false,
    failure: null,
  };
}

/**
 * Whether one that was to give memory up is to have some: that it did not give is no sign that it will not take. One that does neither, and
 * is turned again and again, has no more patience by that than one that is left out and tried again.
 */
function turnsUp(before: Pursuit, { target, current, now }: PursuitRequest): boolean {
  if (current === null || before.target >= current || target <= current) return false;
  return before.patienceFrom === before.progressAt || now - before.patienceFrom >= LEFT_OUT_FOR;
}

/** Whether the guest may still be on its way. A request that failed may have got through, and then its promise stands. */
function isPending({ phase, target }: Pursuit, current: Pages | null): boolean {
  if (phase === 'failed') return current !== null && target > current;
  return phase !== 'reached';
}

/** The promise to a stuck guest is taken back: it is asked to stay at `held`, and stays stuck until it moves. */
export const withdrawPursuit = (stuck: Pursuit, id: ActionId, held: Pages): Pursuit => ({
  ...stuck,
  id,
  target: held,
  standing: promiseOf(stuck),
  distance: null,
  isWithdrawn: true,
});

/** A request that takes the place of `before`, of which nothing else is known any more: what that promised stands until this one is taken. */
export const inPlaceOf = (before: Pursuit, request: Pursuit): Pursuit => ({
  ...request,
  standing: maxPages(request.standing, promiseOf(before)),
});

/** It is blamed for nothing any more, and has new patience. */
export const forgiven = (pursuit: Pursuit, now: Millis): Pursuit => ({
  ...pursuit,
  phase: pursuit.phase === 'stuck' ? 'asked' : pursuit.phase,
  progressAt: now,
  patienceFrom: now,
  isUncooperative: false,
  isWithdrawn: false,
});

/** The request was refused for certain: what it would have allowed beyond `held` is no promise. What was promised before it stands. */
export const dropPromise = (failed: Pursuit, held: Pages): Pursuit => ({
  ...failed,
  target: minPages(failed.target, held),
});

/** When it counts as stuck, if it has come no nearer by then; null: it does already, or nothing is expected of it. */
export const patienceEnd = (pursuit: Pursuit | null): Millis | null =>
  pursuit !== null && !pursuit.isWithdrawn && (pursuit.phase === 'asked' || pursuit.phase === 'accepted')
    ? addMillis(pursuit.patienceFrom, STUCK_AFTER)
    : null;

/** Whether it has had all the patience there is, and its promise is to be taken back. */
export const isSpent = ({ phase, isWithdrawn, patienceFrom }: Pursuit, now: Millis): boolean =>
  phase === 'stuck' && !isWithdrawn && now - patienceFrom >= STUCK_AFTER;

/** Whether nobody can tell if its last request got through, and more than `held` was promised to it for so long that it had the time to take it. */
export const isDoubtful = (
  pursuit: Pursuit | null,
  held: Pages,
  now: Millis,
  stuckAfter: Millis = STUCK_AFTER,
): boolean => pursuit?.phase === 'failed' && promiseOf(pursuit) > held && now - pursuit.patienceFrom >= stuckAfter;

/** Whether an answer is to be expected soon. `stuckAfter`: how long it may take to come nearer. */
export const isOnItsWay = (pursuit: Pursuit | null, now: Millis, stuckAfter: Millis = STUCK_AFTER): boolean =>
  pursuit !== null &&
  (pursuit.phase === 'asked' || pursuit.phase === 'accepted' || pursuit.phase === 'stuck') &&
  !pursuit.isWithdrawn &&
  now - pursuit.patienceFrom < 2 * stuckAfter;

/** Whether it is not to be asked for growth: it did not take the last one, and that is not long ago. */
export const isLeftOut = (pursuit: Pursuit | null, now: Millis): boolean =>
  pursuit?.isWithdrawn === true && now - pursuit.patienceFrom < LEFT_OUT_FOR;

/**
 * Whether the guest is to be blamed for where it stands: it has not got to what was taken already. Where only what nobody answered is
 * left to it, it may not have been told.
 */
const isBehind = ({ taken, target }: Pursuit, current: Pages): boolean =>
  taken !== null && (target < current ? current > taken + REACHED_WITHIN : current < taken - REACHED_WITHIN);

type Progress = Pick<
  Pursuit,
  'phase' | 'taken' | 'standing' | 'distance' | 'progressAt' | 'patienceFrom' | 'isUncooperative' | 'failure'
>;

/** Written out because it is hot: a spread of this object takes ten times as long on Node.js 20. */
const advance = (pursuit: Pursuit, progress: Progress): Pursuit => ({
  id: pursuit.id,
  target: pursuit.target,
  phase: progress.phase,
  taken: progress.taken,
  standing: progress.standing,
  progressAt: progress.progressAt,
  patienceFrom: progress.patienceFrom,
  distance: progress.distance,
  isUncooperative: progress.isUncooperative,
  isWithdrawn: pursuit.isWithdrawn && progress.phase === 'stuck',
  failure: progress.failure,
});

const progressOf = (pursuit: Pursuit): Progress => ({
  phase: pursuit.phase,
  taken: pursuit.taken,
  standing: pursuit.standing,
  distance: pursuit.distance,
  progressAt: pursuit.progressAt,
  patienceFrom: pursuit.patienceFrom,
  isUncooperative: pursuit.isUncooperative,
  failure: pursuit.failure,
});

/** What the hypervisor said to the request `id`, and what the guest held then. */
export interface PursuitAnswer {
  readonly id: ActionId;
  /** Why it failed; null: it was taken. */
  readonly failure: string | null;
  readonly now: Millis;
  readonly current: Pages;
}

/**
 * The hypervisor answered. An answer to another request is ignored. A guest that had nothing left to do when its patience went by, because
 * nobody had answered, has it anew.
 */
export function answerPursuit(pursuit: Pursuit | null, { id, failure, now, current }: PursuitAnswer): Pursuit | null {
  if (pursuit?.id !== id) return pursuit;
  if (failure !== null) return advance(pursuit, { ...progressOf(pursuit), phase: 'failed', failure });
  const progress = { ...progressOf(pursuit), taken: pursuit.target, standing: NO_PAGES };
  if (pursuit.phase === 'stuck' || pursuit.phase === 'reached') return advance(pursuit, progress);
  const isLate = now - pursuit.patienceFrom >= STUCK_AFTER && !isBehind(pursuit, current);
  const anew = isLate ? { progressAt: now, patienceFrom: now } : {};
  return advance(pursuit, { ...progress, ...anew, phase: 'accepted' });
}

/** A reading says where the guest is. `stuckAfter`: how long it may take to come nearer. */
export function observePursuit(
  pursuit: Pursuit | null,
  current: Pages,
  now: Millis,
  stuckAfter: Millis = STUCK_AFTER,
): Pursuit | null {
  if (pursuit === null) return null;
  if (pursuit.phase === 'failed') return observeFailed(pursuit, current, now);
  const { phase, taken, standing, failure } = pursuit;
  const distance = distanceTo(pursuit.target, current);
  const moved = (to: PursuitPhase): Pursuit =>
    advance(pursuit, {
      phase: to,
      taken,
      standing,
      distance,
      progressAt: now,
      patienceFrom: now,
      isUncooperative: false,
      failure,
    });
  if (pursuit.isWithdrawn) return distance <= REACHED_WITHIN ? lookAtStuck(pursuit, now) : moved('accepted');
  if (distance <= REACHED_WITHIN) {
    return phase === 'reached' && pursuit.distance === distance ? pursuit : moved('reached');
  }
  // Somebody else moved it, or it moved by itself: its patience begins now, not when it arrived.
  if (phase === 'reached' || (pursuit.distance !== null && pursuit.distance <= REACHED_WITHIN))
    return moved('accepted');
  if (pursuit.distance === null) {
    return advance(pursuit, { ...progressOf(pursuit), distance });
  }
  if (distance < pursuit.distance) return moved('accepted');
  // A promise is taken back whoever is to blame: others wait for it.
  if (pursuit.target < current && !isBehind(pursuit, current)) return pursuit;
  return now - pursuit.patienceFrom < stuckAfter ? pursuit : lookAtStuck(pursuit, now);
}

/** It may have got through, and then the guest comes nearer: whoever does is not disturbed. */
function observeFailed(pursuit: Pursuit, current: Pages, now: Millis): Pursuit {
  const distance = distanceTo(pursuit.target, current);
  // The least counts: to go back and forth is to come no nearer.
  if (pursuit.distance !== null && distance >= pursuit.distance) return pursuit;
  const anew = pursuit.distance === null ? {} : { progressAt: now, patienceFrom: now };
  return advance(pursuit, { ...progressOf(pursuit), ...anew, distance });
}

function lookAtStuck(pursuit: Pursuit, now: Millis): Pursuit {
  const isUncooperative = pursuit.isUncooperative || now - pursuit.progressAt >= UNCOOPERATIVE_AFTER;
  return advance(pursuit, { ...progressOf(pursuit), phase: 'stuck', isUncooperative });
}
