/**
 * From a policy's wish to what one guest is asked for: held within its limits, and within what its host has. It does not know
 * which policy, and makes no wishes of its own but to keep a guest within its administrator's limits.
 */
import {
  addMillis,
  addPages,
  maxPages,
  millis,
  minMillis,
  minPages,
  NO_PAGES,
  type Millis,
  type Pages,
} from '../units.js';
import type { GuestDecision } from './actions.js';
import { beatNear, beatOf, nextBeat } from './beat.js';
import type { StepContext } from './guest-requests.js';
import { isResting, wholeGrant, wholeSize } from './growth.js';
import { growthViewOf, heldBy, liveTarget, type GuestState } from './guest-state.js';
import { ceilingNow, type Limited } from './limits.js';
import type { Decision, Wish } from './policy.js';
import { isLeftOut } from './pursuit.js';
import { NOTHING_KNOWN } from './reading.js';
import type { Safeguards } from './safeguards.js';

/** A guest that its host could not give all it needs is asked about again after about this: another may have given memory up. */
const HUNGRY_RETRY = millis(1_000);

/** What is asked of the guest, and why. */
export function decisionFor<Memory>(
  safeguards: Safeguards,
  state: GuestState<Memory>,
  decided: Decision<Memory>,
  context: StepContext,
): GuestDecision {
  const within =
    decided.wish.kind === 'hold'
      ? holdWithin(safeguards, state, decided.wish, context)
      : resizeWithin(safeguards, state, decided.wish, context);
  // Written out, here and below: a spread takes ten times as long (docs/decisions/0007).
  const { goal, wished, target, reason } = within;
  const { shrinkOverflowTo } = decided;
  const decision = { guest: state.guest.id, goal, wished, target, shrinkOverflowTo, reason };
  return withinHost(safeguards, state, inWholeBlocks(state, decision, context), context);
}

/** When the policy is to be asked again, which was due at `due` and is asked now; it wishes to be at `wakeAt`. */
export function dueAfter<Memory>(
  { guest }: GuestState<Memory>,
  decision: GuestDecision,
  { wakeAt, due, now }: { readonly wakeAt: Millis | null; readonly due: Millis; readonly now: Millis },
): Millis | null {
  if (wakeAt === null || wakeAt <= now) return wakeAt;
  const interval = millis(wakeAt - now);
  const next = nextBeat(due, { now, interval, beat: beatOf(guest, interval) });
  if (decision.reason.code !== 'clamped-to-host') return next;
  return minMillis(next, beatNear(addMillis(now, HUNGRY_RETRY), beatOf(guest, HUNGRY_RETRY)));
}

type Within = Pick<GuestDecision, 'goal' | 'wished' | 'target' | 'reason'>;
type Resize = Extract<Wish, { kind: 'resize' }>;
type Hold = Extract<Wish, { kind: 'hold' }>;

function resizeWithin<Memory>(
  safeguards: Safeguards,
  state: GuestState<Memory>,
  { goal, target: wished, floor, reason }: Resize,
  context: StepContext,
): Within {
  const limited = limit(safeguards, state, { wished, policyFloor: floor }, context);
  const { kind, target } = limited;
  return { goal, wished, target, reason: kind === 'as-wished' ? reason : { ...reason, code: kind } };
}

/**
 * A guest of whose need nothing is known stays where it is; but the limits of whoever administers it hold. Down to a ceiling only
 * where nobody ever reported: what was known and is not any more must not cost a guest its memory.
 */
function holdWithin<Memory>(
  safeguards: Safeguards,
  state: GuestState<Memory>,
  { reason }: Hold,
  context: StepContext,
): Within {
  const held = heldBy(state);
  const stays = { goal: null, wished: null, target: null, reason };
  if (held === null || reason.code === 'switched-off') return stays;
  const { kind, target } = limit(safeguards, state, { wished: held, policyFloor: NO_PAGES }, context);
  if (kind !== 'as-wished' && (target > held || (target < held && reason.code === 'no-report'))) {
    return { goal: target, wished: held, target, reason: { code: kind, numbers: { goal: target } } };
  }
  return stays;
}

function limit<Memory>(
  safeguards: Safeguards,
  state: GuestState<Memory>,
  wish: { readonly wished: Pages; readonly policyFloor: Pages },
  { tunables }: StepContext,
): Limited {
  return safeguards.limit({
    wished: wish.wished,
    policyFloor: wish.policyFloor,
    limits: state.limits,
    maximum: state.reading?.maximum ?? NOTHING_KNOWN.maximum,
    current: heldBy(state),
    downHysteresis: tunables.selfballoon_downhysteresis,
  });
}

/** What goes beyond boot memory comes in whole blocks, and not to a guest that did not take the last ones. */
function inWholeBlocks<Memory>(
  state: GuestState<Memory>,
  decision: GuestDecision,
  { now }: StepContext,
): GuestDecision {
  const { target } = decision;
  const [view, held] = [growthViewOf(state), heldBy(state)];
  if (state.growth === null || view === null || held === null || target === null || target <= held) return decision;
  const most = addPages(view.bootMaximum, isResting(state.growth.up, now) ? view.plugged : view.pluggable);
  if (target > most && most < addPages(view.bootMaximum, view.pluggable)) {
    const reason = { ...decision.reason, code: 'left-out' } as const;
    return { ...decision, target: most > held ? most : null, reason };
  }
  const ceiling = ceilingNow(state.limits, state.reading?.maximum ?? NOTHING_KNOWN.maximum);
  return { ...decision, target: wholeSize(view, target, ceiling) };
}

/** Growth must fit in what the host has; a guest of a host of which nothing is known has its own driver to tell it. */
function withinHost<Memory>(
  safeguards: Safeguards,
  state: GuestState<Memory>,
  decision: GuestDecision,
  { poolFor, now }: StepContext,
): GuestDecision {
  const { target } = decision;
  const view = poolFor(state.guest);
  if (target === null || view === null) return decision;
  const held = heldBy(state);
  if (held === null) return { ...decision, target: null };
  if (target > held && isLeftOut(state.pursuit, now)) {
    return { ...decision, target: null, reason: { ...decision.reason, code: 'left-out' } };
  }
  // What it was told that it may have is kept from others already; it is not taken back for want of a newer look.
  const granted = maxPages(safeguards.grant(target, held, view), minPages(target, liveTarget(state)));
  if (granted === target) return decision;
  const growth = growthViewOf(state);
  const whole = growth === null ? granted : wholeGrant(growth, granted);
  const numbers = { ...decision.reason.numbers, wanted: target };
  return { ...decision, target: whole, reason: { ...decision.reason, code: 'clamped-to-host', numbers } };
}
