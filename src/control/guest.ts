/**
 * One guest's control. It keeps what is known of the guest, asks the policy when its time has come, holds the wish within the
 * limits, and follows what was asked to its end. It does not know which policy, which hypervisor, or that there are others.
 */
import { addMillis, maxPages, millis, minPages, NO_PAGES, secondsToMillis, type Millis, type Pages } from '../units.js';
import type { GuestDecision } from './actions.js';
import type { Alarm } from './alarm.js';
import type { GuestEvent } from './events.js';
import { askFor, carryOut, finishAction, tell, tellProgress, type StepContext } from './guest-requests.js';
import { draftOf, heldBy, wakeAtOf, type Draft, type GuestState } from './guest-state.js';
import { SAFEGUARDS, type GuestLimits, type Safeguards } from './limits.js';
import type { Decision, GuestPolicy, TunableChange } from './policy.js';
import type { GuestDescription } from './ports.js';
import { observePursuit } from './pursuit.js';
import type { Reading } from './reading.js';
import type { Reason } from './reason.js';
import { isRelieved } from './relief.js';
import type { Tunables } from './tunables.js';

/** Looked at no less often than this, however long the interval is; and no older reading is believed. */
const LOOK_INTERVAL_MAX = secondsToMillis(60);
const GRACE = millis(1_000);

const lookInterval = (tunables: Tunables): Millis => {
  const interval = secondsToMillis(tunables.selfballoon_interval);
  return interval < LOOK_INTERVAL_MAX ? interval : LOOK_INTERVAL_MAX;
};

/** A reading is too old to take memory on when it was true more than this before: one look's interval, and a second of grace. */
const readingAgeMax = (tunables: Tunables): Millis => addMillis(lookInterval(tunables), GRACE);

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
      relief: null,
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
    case 'guest-alarm':
      relieve(rules.safeguards, state, event.alarm, context);
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
  const wished = policy.decide({ reading, tunables, hasOverflowTier }, state.memory, now);
  const decided = isRelieved(state.relief, now) ? whileRelieved(state, wished) : wished;
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

/** The most that the guest may have: its administrator's ceiling, or what it was ever seen to be able to hold. Null = unknown. */
function mostFor<Memory>({ limits, maximumSeen }: GuestState<Memory>): Pages | null {
  if (maximumSeen === null || limits.ceiling === null) return maximumSeen ?? limits.ceiling;
  return minPages(maximumSeen, limits.ceiling);
}

/**
 * An alarm: everything is given back at once, by no step computed from what the guest holds now, and whatever else is known of
 * it. A guest can do itself no harm with it, and to others no more than by needing memory.
 */
function relieve<Memory>(safeguards: Safeguards, state: Draft<Memory>, alarm: Alarm, context: StepContext): void {
  const { now, tunables } = context;
  if (state.isReleased || tunables.selfballooning === 0) return;
  const before = state.relief;
  const relief = safeguards.relieve(before, now);
  const most = mostFor(state);
  if (relief === null || most === null) return;
  state.relief = relief;
  if (hasOrGets(state, most)) return;
  const target = maxPages(most, heldBy(state) ?? NO_PAGES);
  state.decision = {
    guest: state.guest.id,
    goal: most,
    wished: most,
    target,
    shrinkOverflowTo: null,
    reason: underPressure(most, alarm),
  };
  context.note(state.decision);
  if (!isRelieved(before, now)) tell(context, state, 'info', 'under-pressure', describePressure(alarm));
  if (state.isDriven) askFor(state, target, context);
}

/** Whether the last thing that was asked for is all there is, and the guest moves there; or it has it without being asked. */
function hasOrGets<Memory>(state: GuestState<Memory>, most: Pages): boolean {
  const { pursuit } = state;
  if (pursuit === null) return (heldBy(state) ?? NO_PAGES) >= most;
  return pursuit.target >= most && pursuit.phase !== 'failed' && pursuit.phase !== 'stuck';
}

const describePressure = ({ cause }: Alarm): string =>
  `is under pressure (${cause === 'stalled' ? 'tasks wait for memory' : 'little memory is available'}): gets everything back`;

const underPressure = (ceiling: Pages, alarm: Alarm | null): Reason => ({
  code: 'under-pressure',
  numbers: {
    ceiling,
    ...(alarm === null || alarm.availablePages === null ? {} : { available: alarm.availablePages }),
  },
  ...(alarm === null ? {} : { detail: alarm.cause }),
});

/** The policy goes on remembering, but until the relief is over the guest is to have everything, its swapped pages included. */
function whileRelieved<Memory>(state: GuestState<Memory>, decided: Decision<Memory>): Decision<Memory> {
  const most = mostFor(state);
  if (decided.wish.kind === 'hold' && decided.wish.reason.code === 'switched-off') return decided;
  if (most === null) return { ...decided, shrinkOverflowTo: null };
  const target = maxPages(most, heldBy(state) ?? NO_PAGES);
  const wish = { kind: 'resize', goal: most, target, floor: NO_PAGES, reason: underPressure(most, null) } as const;
  return { ...decided, wish, shrinkOverflowTo: null };
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
  if (change.after.selfballooning === 0) state.relief = null;
  const isAsleep = change.after.selfballooning === 0 && change.after.frontswap_selfshrinking === 0;
  state.isReleased = state.isReleased && isAsleep;
}

/** Gives everything back: asks for the most that the guest may have, and then leaves it alone. */
function release<Memory>(state: Draft<Memory>, context: StepContext): void {
  const ceiling = mostFor(state);
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
