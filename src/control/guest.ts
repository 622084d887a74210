/**
 * One guest's control. It keeps what is known of the guest, asks the policy when its time has come, holds the wish within the
 * limits, and follows what was asked to its end. It does not know which policy, which hypervisor, or that there are others.
 */
import { addMillis, guestSize, millis, minPages, secondsToMillis, type Millis, type Pages } from '../units.js';
import type { Action, GuestDecision, Tell } from './actions.js';
import type { ActionId, GuestEvent } from './events.js';
import { SAFEGUARDS, type GuestLimits, type Safeguards } from './limits.js';
import type { Decision, GuestPolicy, TunableChange } from './policy.js';
import type { GuestDescription } from './ports.js';
import { answerPursuit, beginPursuit, observePursuit, type Pursuit } from './pursuit.js';
import type { Reading } from './reading.js';
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
  /** The most that it was ever believed to be able to hold: what release gives back, even when readings fail by then. */
  readonly maximumSeen: Pages | null;
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

/** Looked at no less often than this, however long the interval is; and no older reading is believed. */
const LOOK_INTERVAL_MAX = secondsToMillis(60);
const GRACE = millis(1_000);

const lookInterval = (tunables: Tunables): Millis => {
  const interval = secondsToMillis(tunables.selfballoon_interval);
  return interval < LOOK_INTERVAL_MAX ? interval : LOOK_INTERVAL_MAX;
};

/** A reading is too old to take memory on when it was true more than this before: one look's interval, and a second of grace. */
const readingAgeMax = (tunables: Tunables): Millis => addMillis(lookInterval(tunables), GRACE);
/** The shell answers every look within its own, shorter limit; this one is for an answer that was lost. */
const LOOK_PATIENCE = millis(30_000);

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
export function createGuestControl<Memory>(
  policy: GuestPolicy<Memory>,
  safeguards: Safeguards = SAFEGUARDS,
): GuestControl<Memory> {
  const rules = { policy, safeguards };
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
      maximumSeen: null,
      pursuit: null,
      shrinking: null,
      isReleased: false,
    }),
    handle(before, event, context) {
      const state = draftOf(before);
      handle(rules, state, event, context);
      return state;
    },
    passTime(before, context) {
      if (wakeAtOf(before) > context.now) return before;
      const state = draftOf(before);
      look(state, context);
      return state;
    },
    retune(before, change, context) {
      const state = draftOf(before);
      retune(policy, state, change, context);
      return state;
    },
    release(before, context) {
      const state = draftOf(before);
      if (state.isDriven) release(state, context);
      return state;
    },
  };
}

interface Rules<Memory> {
  readonly policy: GuestPolicy<Memory>;
  readonly safeguards: Safeguards;
}

/** When time alone makes something due for this guest. */
export function wakeAtOf<Memory>(state: GuestState<Memory>): Millis {
  return state.lookingSince === null ? state.lookDueAt : addMillis(state.lookingSince, LOOK_PATIENCE);
}

/** A state in the making: it belongs to one call, which copies it first and lets nobody see it before the end. */
type Draft<Memory> = { -readonly [Key in keyof GuestState<Memory>]: GuestState<Memory>[Key] };

/** Written out because it is hot: a spread of this object takes 300 ns on Node.js 20, this takes 30. */
const draftOf = <Memory>(state: GuestState<Memory>): Draft<Memory> => ({
  guest: state.guest,
  limits: state.limits,
  isDriven: state.isDriven,
  reading: state.reading,
  readFailure: state.readFailure,
  decision: state.decision,
  memory: state.memory,
  policyDueAt: state.policyDueAt,
  lookDueAt: state.lookDueAt,
  lookingSince: state.lookingSince,
  maximumSeen: state.maximumSeen,
  pursuit: state.pursuit,
  shrinking: state.shrinking,
  isReleased: state.isReleased,
});

function look<Memory>(state: Draft<Memory>, context: StepContext): void {
  context.emit({ kind: 'look', guest: state.guest.id });
  state.lookingSince = context.now;
}

function handle<Memory>(rules: Rules<Memory>, state: Draft<Memory>, event: GuestEvent, context: StepContext): void {
  switch (event.kind) {
    case 'reading':
      observe(rules.safeguards, state, event.reading, context);
      decideIfDue(rules, state, context);
      break;
    case 'reading-failed':
      failLook(state, event.message, context);
      break;
    case 'action-done':
      finishAction(state, event.id, null, event.note, context);
      break;
    case 'action-failed':
      finishAction(state, event.id, event.message, null, context);
      break;
  }
}

function observe<Memory>(safeguards: Safeguards, state: Draft<Memory>, raw: Reading, context: StepContext): void {
  const { now, tunables } = context;
  const reading = safeguards.believe(raw, now, readingAgeMax(tunables));
  const before = state.pursuit;
  if (reading.current.known) state.pursuit = observePursuit(before, reading.current.value, now);
  if (state.pursuit !== before) tellProgress(state, before, context);
  const { maximum } = reading;
  if (maximum.known && maximum.value > (state.maximumSeen ?? 0)) state.maximumSeen = maximum.value;
  state.reading = reading;
  state.readFailure = null;
  state.lookingSince = null;
  state.lookDueAt = nextLook(state.policyDueAt, context);
}

/** The policy's time, when that comes before the next look is due anyway. */
function nextLook(policyDueAt: Millis | null, { now, tunables }: StepContext): Millis {
  const byInterval = addMillis(now, lookInterval(tunables));
  return policyDueAt !== null && policyDueAt > now && policyDueAt < byInterval ? policyDueAt : byInterval;
}

function failLook<Memory>(state: Draft<Memory>, message: string, context: StepContext): void {
  if (state.readFailure === null) tell(context, state, 'warning', 'action-failed', `could not be read: ${message}`);
  state.readFailure = message;
  state.lookingSince = null;
  state.lookDueAt = addMillis(context.now, lookInterval(context.tunables));
}

function decideIfDue<Memory>({ policy, safeguards }: Rules<Memory>, state: Draft<Memory>, context: StepContext): void {
  const { now, tunables } = context;
  const { reading, policyDueAt } = state;
  if (reading === null || policyDueAt === null || policyDueAt > now) return;
  if (state.isReleased) {
    state.policyDueAt = null;
    return;
  }
  const { hasOverflowTier } = state.guest.capabilities;
  const decided = policy.decide({ reading, tunables, hasOverflowTier }, state.memory, now);
  const decision = limitWish(safeguards, state, reading, decided, tunables.selfballoon_downhysteresis);
  context.note(decision);
  state.memory = decided.memory;
  state.policyDueAt = decided.wakeAt;
  state.lookDueAt = nextLook(decided.wakeAt, context);
  state.decision = decision;
  if (state.isDriven) carryOut(state, decision, context);
}

function limitWish<Memory>(
  safeguards: Safeguards,
  { guest: { id: guest }, limits }: GuestState<Memory>,
  reading: Reading,
  { wish, shrinkOverflowTo }: Decision<Memory>,
  downHysteresis: number,
): GuestDecision {
  if (wish.kind === 'hold') {
    return { guest, goal: null, wished: null, target: null, shrinkOverflowTo, reason: wish.reason };
  }
  const { goal, target: wished, floor: policyFloor } = wish;
  const { maximum } = reading;
  const current = reading.current.known ? reading.current.value : null;
  const limited = safeguards.limit({ wished, policyFloor, limits, maximum, current, downHysteresis });
  const reason = limited.kind === 'as-wished' ? wish.reason : { ...wish.reason, code: limited.kind };
  return { guest, goal, wished, target: limited.target, shrinkOverflowTo, reason };
}

function carryOut<Memory>(state: Draft<Memory>, decision: GuestDecision, context: StepContext): void {
  if (decision.target !== null) askFor(state, decision.target, context);
  if (decision.shrinkOverflowTo === null || state.shrinking !== null) return;
  const id = context.nextId();
  context.emit({ kind: 'shrink-overflow', guest: state.guest.id, id, to: decision.shrinkOverflowTo });
  state.shrinking = id;
}

function askFor<Memory>(state: Draft<Memory>, target: Pages, context: StepContext): void {
  const isThere = state.pursuit?.target === target && state.pursuit.phase === 'reached';
  if (isThere) return;
  const id = context.nextId();
  context.emit({ kind: 'set-target', guest: state.guest.id, id, target: guestSize(target) });
  const current = state.reading?.current.known === true ? state.reading.current.value : null;
  state.pursuit = beginPursuit(state.pursuit, { id, target, current, now: context.now });
}

function finishAction<Memory>(
  state: Draft<Memory>,
  id: ActionId,
  failure: string | null,
  note: string | null,
  context: StepContext,
): void {
  if (failure !== null) tell(context, state, 'warning', 'action-failed', failure);
  if (state.shrinking !== id) {
    state.pursuit = answerPursuit(state.pursuit, id, failure);
    return;
  }
  if (note !== null) tell(context, state, 'debug', 'overflow-shrunk', note);
  state.shrinking = null;
}

function retune<Memory>(
  policy: GuestPolicy<Memory>,
  state: Draft<Memory>,
  change: TunableChange,
  context: StepContext,
): void {
  const { memory, wakeAt } = policy.retune(change, state.memory, state.policyDueAt, context.now);
  state.memory = memory;
  state.policyDueAt = wakeAt;
  state.lookDueAt = nextLook(wakeAt, context);
  const isAsleep = change.after.selfballooning === 0 && change.after.frontswap_selfshrinking === 0;
  state.isReleased = state.isReleased && isAsleep;
}

/** Gives everything back: asks for the most that the guest may have, and then leaves it alone. */
function release<Memory>(state: Draft<Memory>, context: StepContext): void {
  const { limits, maximumSeen } = state;
  const ceiling =
    maximumSeen === null || limits.ceiling === null
      ? (maximumSeen ?? limits.ceiling)
      : minPages(maximumSeen, limits.ceiling);
  if (ceiling === null) {
    tell(context, state, 'warning', 'cannot-release', 'its maximum was never known, so it keeps what it has');
    return;
  }
  state.isReleased = true;
  state.decision = {
    guest: state.guest.id,
    goal: ceiling,
    wished: ceiling,
    target: ceiling,
    shrinkOverflowTo: null,
    reason: { code: 'released', numbers: { ceiling } },
  };
  context.note(state.decision);
  // A request of its own: a guest that was stuck must answer this one too before it counts as released.
  state.pursuit = null;
  askFor(state, ceiling, context);
}

function tellProgress<Memory>(state: GuestState<Memory>, before: Pursuit | null, context: StepContext): void {
  const after = state.pursuit;
  if (before === null || after === null) return;
  if (after.isUncooperative && !before.isUncooperative) {
    tell(context, state, 'warning', 'uncooperative', `${describeStuck(state, after)}, for a minute now`);
  } else if (before.phase === 'stuck' && after.phase !== 'stuck') {
    tell(context, state, 'info', 'obeys-again', 'moves towards its target again');
  } else if (after.phase === 'stuck' && before.phase !== 'stuck') {
    tell(context, state, 'info', 'stuck', describeStuck(state, after));
  }
}

/** The two directions have different causes, and so different remedies. */
function describeStuck<Memory>({ reading }: GuestState<Memory>, { target }: Pursuit): string {
  const isGrowing = reading?.current.known === true && reading.current.value < target;
  return isGrowing
    ? `does not get the memory it asks for (${target} pages); its host may have none left`
    : `does not give memory up (down to ${target} pages); is its balloon driver loaded?`;
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
