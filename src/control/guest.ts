/**
 * One guest's control. It keeps what is known of the guest, asks the policy when its time has come, holds the wish within the
 * limits, and follows what was asked to its end. It does not know which policy, which hypervisor, or that there are others.
 */
import { addMillis, guestSize, millis, secondsToMillis, type Millis, type Pages } from '../units.js';
import type { Action, GuestDecision, Tell } from './actions.js';
import type { ActionId, GuestEvent } from './events.js';
import { believable, ceilingNow, limitTarget, type GuestLimits } from './limits.js';
import type { GuestPolicy, TunableChange, Wish } from './policy.js';
import type { GuestDescription } from './ports.js';
import { answerPursuit, beginPursuit, observePursuit, type Pursuit } from './pursuit.js';
import type { Reading } from './reading.js';
import type { Reason } from './reason.js';
import type { Tunables } from './tunables.js';

export interface GuestState<Memory> {
  readonly guest: GuestDescription;
  readonly limits: GuestLimits;
  /** False: decide and show, ask for nothing. */
  readonly isDriven: boolean;
  /** The last reading, as it was believed. Null before the first. */
  readonly reading: Reading | null;
  /** Why the last look failed; null when it did not. */
  readonly readFailure: string | null;
  readonly decision: GuestDecision | null;
  readonly memory: Memory;
  /** When the policy wants to be asked; null = not before a tunable says so. */
  readonly policyDueAt: Millis | null;
  /** When to look next. Guests are looked at even when the policy sleeps, so that they can be shown. */
  readonly lookDueAt: Millis;
  /** Since when an answer to a look is awaited; null = none is. */
  readonly lookingSince: Millis | null;
  readonly pursuit: Pursuit | null;
  /** The overflow tier is being shrunk by this action; null = it is left alone. */
  readonly shrinking: ActionId | null;
  /** Everything was given back; nothing is asked for until self-ballooning is switched on again. */
  readonly isReleased: boolean;
}

/** What one guest's control may see of the step it is part of. */
export interface StepContext {
  readonly now: Millis;
  readonly tunables: Tunables;
  /** Gives every action of the host its number. */
  readonly nextId: () => ActionId;
  readonly emit: (action: Action) => void;
  readonly note: (decision: GuestDecision) => void;
}

/** A reading is too old to take memory on when it was true more than this before: one interval, and a second of grace. */
const readingAgeMax = (tunables: Tunables): Millis => addMillis(secondsToMillis(tunables.selfballoon_interval), GRACE);
const GRACE = millis(1_000);

export interface GuestControl<Memory> {
  begin(guest: GuestDescription, settings: GuestSettings, context: StepContext): GuestState<Memory>;
  handle(state: GuestState<Memory>, event: GuestEvent, context: StepContext): GuestState<Memory>;
  passTime(state: GuestState<Memory>, context: StepContext): GuestState<Memory>;
  retune(state: GuestState<Memory>, change: TunableChange, context: StepContext): GuestState<Memory>;
  release(state: GuestState<Memory>, context: StepContext): GuestState<Memory>;
}

export interface GuestSettings {
  readonly limits: GuestLimits;
  readonly isDriven: boolean;
}

/** One guest's control with `policy` as its rule. */
export function createGuestControl<Memory>(policy: GuestPolicy<Memory>): GuestControl<Memory> {
  return {
    begin: (guest, settings, context) => ({
      guest,
      limits: settings.limits,
      isDriven: settings.isDriven && guest.capabilities.canSetTarget,
      reading: null,
      readFailure: null,
      decision: null,
      memory: policy.initialMemory,
      policyDueAt: policy.firstWake(context.tunables, context.now),
      lookDueAt: context.now,
      lookingSince: null,
      pursuit: null,
      shrinking: null,
      isReleased: false,
    }),
    handle: (state, event, context) => handle(policy, state, event, context),
    passTime,
    retune: (state, change, context) => retune(policy, state, change, context),
    release,
  };
}

function passTime<Memory>(state: GuestState<Memory>, context: StepContext): GuestState<Memory> {
  if (wakeAtOf(state) > context.now) return state;
  context.emit({ kind: 'look', guest: state.guest.id });
  return { ...state, lookingSince: context.now };
}

/** When time alone makes something due for this guest. */
export function wakeAtOf<Memory>(state: GuestState<Memory>): Millis {
  return state.lookingSince === null ? state.lookDueAt : addMillis(state.lookingSince, LOOK_PATIENCE);
}

/** The shell answers every look within its own, shorter limit; this one is for an answer that was lost. */
const LOOK_PATIENCE = millis(30_000);

function handle<Memory>(
  policy: GuestPolicy<Memory>,
  state: GuestState<Memory>,
  event: GuestEvent,
  context: StepContext,
): GuestState<Memory> {
  switch (event.kind) {
    case 'reading':
      return decideIfDue(policy, observe(state, event.reading, context), context);
    case 'reading-failed':
      return failLook(state, event.message, context);
    case 'action-done':
      return finishAction(state, event.id, null, event.note, context);
    case 'action-failed':
      return finishAction(state, event.id, event.message, null, context);
  }
}

function observe<Memory>(state: GuestState<Memory>, raw: Reading, context: StepContext): GuestState<Memory> {
  const { now, tunables } = context;
  const reading = believable(raw, now, readingAgeMax(tunables));
  const pursuit = reading.current.known ? observePursuit(state.pursuit, reading.current.value, now) : state.pursuit;
  if (pursuit !== state.pursuit) tellProgress(state, pursuit, context);
  return {
    ...state,
    reading,
    readFailure: null,
    pursuit,
    lookingSince: null,
    lookDueAt: nextLook(state.policyDueAt, context),
  };
}

/** The policy's time, or one interval when it sleeps or is overdue. */
function nextLook(policyDueAt: Millis | null, { now, tunables }: StepContext): Millis {
  if (policyDueAt !== null && policyDueAt > now) return policyDueAt;
  return addMillis(now, secondsToMillis(tunables.selfballoon_interval));
}

function failLook<Memory>(state: GuestState<Memory>, message: string, context: StepContext): GuestState<Memory> {
  if (state.readFailure === null) tell(context, state, 'warning', 'action-failed', `could not be read: ${message}`);
  const lookDueAt = addMillis(context.now, secondsToMillis(context.tunables.selfballoon_interval));
  return { ...state, readFailure: message, lookingSince: null, lookDueAt };
}

function decideIfDue<Memory>(
  policy: GuestPolicy<Memory>,
  state: GuestState<Memory>,
  context: StepContext,
): GuestState<Memory> {
  const { now, tunables } = context;
  if (state.reading === null || state.policyDueAt === null || state.policyDueAt > now) return state;
  const { hasOverflowTier } = state.guest.capabilities;
  const decided = policy.decide({ reading: state.reading, tunables, hasOverflowTier }, state.memory, now);
  const decision = limitWish(state, state.reading, decided.wish, decided.shrinkOverflowTo);
  context.note(decision);
  const remembered: GuestState<Memory> = {
    ...state,
    memory: decided.memory,
    policyDueAt: decided.wakeAt,
    lookDueAt: nextLook(decided.wakeAt, context),
    decision,
  };
  return state.isDriven ? carryOut(remembered, decision, context) : remembered;
}

function limitWish<Memory>(
  state: GuestState<Memory>,
  reading: Reading,
  wish: Wish,
  shrinkOverflowTo: Pages | null,
): GuestDecision {
  const guest = state.guest.id;
  if (wish.kind === 'hold') {
    return { guest, goal: null, wished: null, target: null, shrinkOverflowTo, reason: wish.reason };
  }
  const limited = limitTarget(wish.target, state.limits, ceilingNow(state.limits, reading.maximum));
  const { goal, target: wished } = wish;
  return {
    guest,
    goal,
    wished,
    target: limited.target,
    shrinkOverflowTo,
    reason: limitedReason(wish.reason, limited.kind),
  };
}

const limitedReason = (reason: Reason, kind: ReturnType<typeof limitTarget>['kind']): Reason =>
  kind === 'as-wished' ? reason : { ...reason, code: kind };

function carryOut<Memory>(
  state: GuestState<Memory>,
  decision: GuestDecision,
  context: StepContext,
): GuestState<Memory> {
  const asked = decision.target === null ? state : askFor(state, decision.target, context);
  if (decision.shrinkOverflowTo === null || state.shrinking !== null) return asked;
  const id = context.nextId();
  context.emit({ kind: 'shrink-overflow', guest: state.guest.id, id, to: decision.shrinkOverflowTo });
  return { ...asked, shrinking: id };
}

function askFor<Memory>(state: GuestState<Memory>, target: Pages, context: StepContext): GuestState<Memory> {
  const isThere = state.pursuit?.target === target && state.pursuit.phase === 'reached';
  if (isThere) return state;
  const id = context.nextId();
  context.emit({ kind: 'set-target', guest: state.guest.id, id, target: guestSize(target) });
  const current = state.reading?.current.known === true ? state.reading.current.value : null;
  return { ...state, pursuit: beginPursuit(state.pursuit, { id, target, current, now: context.now }) };
}

function finishAction<Memory>(
  state: GuestState<Memory>,
  id: ActionId,
  failure: string | null,
  note: string | null,
  context: StepContext,
): GuestState<Memory> {
  if (failure !== null) tell(context, state, 'warning', 'action-failed', failure);
  if (state.shrinking === id) {
    if (note !== null) tell(context, state, 'info', 'overflow-shrunk', note);
    return { ...state, shrinking: null };
  }
  return { ...state, pursuit: answerPursuit(state.pursuit, id, failure) };
}

function retune<Memory>(
  policy: GuestPolicy<Memory>,
  state: GuestState<Memory>,
  change: TunableChange,
  context: StepContext,
): GuestState<Memory> {
  const { memory, wakeAt } = policy.retune(change, state.memory, state.policyDueAt, context.now);
  const isReleased = state.isReleased && change.after.selfballooning === 0;
  return { ...state, memory, policyDueAt: wakeAt, lookDueAt: nextLook(wakeAt, context), isReleased };
}

/** Gives everything back: asks for the most that the guest may have, and then leaves it alone. */
function release<Memory>(state: GuestState<Memory>, context: StepContext): GuestState<Memory> {
  if (!state.isDriven) return state;
  const ceiling = state.reading === null ? state.limits.ceiling : ceilingNow(state.limits, state.reading.maximum);
  if (ceiling === null) {
    tell(context, state, 'warning', 'cannot-release', 'its maximum is not known, so it keeps what it has');
    return { ...state, isReleased: true };
  }
  const reason: Reason = { code: 'released', numbers: { ceiling } };
  const decision: GuestDecision = {
    guest: state.guest.id,
    goal: ceiling,
    wished: ceiling,
    target: ceiling,
    shrinkOverflowTo: null,
    reason,
  };
  context.note(decision);
  return { ...askFor(state, ceiling, context), decision, isReleased: true };
}

function tellProgress<Memory>(state: GuestState<Memory>, after: Pursuit | null, context: StepContext): void {
  const before = state.pursuit;
  if (before === null || after === null) return;
  if (after.isUncooperative && !before.isUncooperative) {
    tell(
      context,
      state,
      'warning',
      'uncooperative',
      'has not moved towards its target for a minute; is its balloon driver loaded?',
    );
  } else if (before.phase === 'stuck' && after.phase !== 'stuck') {
    tell(context, state, 'info', 'obeys-again', 'moves towards its target again');
  } else if (after.phase === 'stuck' && before.phase !== 'stuck') {
    tell(context, state, 'info', 'stuck', `does not move towards its target of ${after.target} pages`);
  }
}

function tell<Memory>(
  context: StepContext,
  state: GuestState<Memory>,
  level: Tell['level'],
  code: Tell['code'],
  text: string,
): void {
  context.emit({ kind: 'tell', level, code, guest: state.guest.id, text });
}
