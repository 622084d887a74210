/**
 * One guest's control. It keeps what is known of the guest, asks the policy when its time has come, holds the wish within the
 * limits, and follows what was asked to its end. It does not know which policy, which hypervisor, or that there are others.
 */
import {
  addMillis,
  maxMillis,
  maxPages,
  millis,
  minMillis,
  minPages,
  secondsToMillis,
  type Millis,
  type Pages,
} from '../units.js';
import { beatFrom, beatNear, beatOf } from './beat.js';
import type { GuestEvent } from './events.js';
import { decisionFor, dueAfter } from './guest-decide.js';
import { hasReturned, isOwed, release, relieve, whereKept, whileRelieved } from './guest-give-back.js';
import { finishAction, tellFailure, tellProgress, withdrawPromise, type StepContext } from './guest-requests.js';
import { canGrow, carryOut, endDoubt, goOn, isGrowthOnItsWay, observeGrowth } from './guest-size.js';
import {
  bootHeldBy,
  bootHeldIn,
  bootMaximumIn,
  draftOf,
  wakeAtOf,
  type Draft,
  type GuestState,
} from './guest-state.js';
import type { GuestLimits } from './limits.js';
import type { GuestPolicy, TunableChange } from './policy.js';
import type { GuestDescription } from './ports.js';
import { isOnItsWay, isSpent, observePursuit, patienceEnd } from './pursuit.js';
import type { Reading } from './reading.js';
import { isRelieved } from './relief.js';
import { SAFEGUARDS, type Safeguards } from './safeguards.js';
import type { Tunables } from './tunables.js';

/** Looked at no less often than this, and half a second, however long the interval is; and no older reading is believed. */
const LOOK_INTERVAL_MAX = secondsToMillis(60);
const GRACE = millis(1_000);
/** Looks move by so much to be on their beat, which is less than the grace. */
const HALF_BEAT = millis(500);
/** A guest of shared memory that is on its way is looked at this often: what it was promised is kept from others. */
const LOOK_ON_THE_WAY = millis(1_000);
/** A guest on its way that is known to have moved is looked at no sooner after the last look than this. */
const LOOK_AFTER_MOVE = millis(250);

const lookInterval = (tunables: Tunables): Millis => {
  const interval = secondsToMillis(tunables.selfballoon_interval);
  return interval < LOOK_INTERVAL_MAX ? interval : LOOK_INTERVAL_MAX;
};

/** A reading is too old to take memory on when it was true more than this before: one look's interval, and a second of grace. */
const readingAgeMax = (tunables: Tunables): Millis => addMillis(lookInterval(tunables), GRACE);

/** The control of one guest: each call gives the state that follows, and emits into the context what is to be done. */
export interface GuestControl<Memory> {
  begin(guest: GuestDescription, settings: GuestSettings, context: StepContext): GuestState<Memory>;
  handle(state: GuestState<Memory>, event: GuestEvent, context: StepContext): GuestState<Memory>;
  passTime(state: GuestState<Memory>, context: StepContext): GuestState<Memory>;
  retune(state: GuestState<Memory>, change: TunableChange, context: StepContext): GuestState<Memory>;
  release(state: GuestState<Memory>, context: StepContext): GuestState<Memory>;
  /** Its description is another now. What is known of it, and what was asked of it, stays. */
  change(state: GuestState<Memory>, guest: GuestDescription, settings: GuestSettings): GuestState<Memory>;
}

/** What a guest may be asked for. */
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
      policyDueAt: onOwnBeat(guest, policy.firstWake(context.tunables, context.now), context.now),
      lookDueAt: context.now,
      lookingSince: null,
      maximumSeen: null,
      heldSeen: null,
      pursuit: null,
      growth: null,
      relief: null,
      awaitsReturn: null,
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
      if (state.isDriven) release(safeguards, state, context);
      return state;
    },
    change: (before, guest, settings) => ({
      ...before,
      guest,
      growth: guest.capabilities.growthBlock === undefined ? null : before.growth,
      limits: settings.limits,
      isDriven: settings.isDriven && guest.capabilities.canSetTarget,
    }),
  };
}

/** At the guest's own beat, where it has one, and not before the policy wishes. */
function onOwnBeat(guest: GuestDescription, wakeAt: Millis | null, now: Millis): Millis | null {
  if (wakeAt === null || wakeAt <= now) return wakeAt;
  return beatFrom(wakeAt, beatOf(guest, millis(wakeAt - now)));
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
      endDoubt(state, context);
      break;
    case 'guest-alarm':
      relieve(rules.safeguards, state, event.alarm, context);
      if (isOnItsWay(state.pursuit, context.now))
        state.lookDueAt = minMillis(state.lookDueAt, nextLook(state, context));
      lookAgain(state, context);
      break;
    case 'guest-moved':
      lookIfOnItsWay(state, context);
      break;
    case 'reading-failed':
      failLook(state, event, context);
      break;
    case 'action-done':
      finishAction(state, event.id, null, event.note, context);
      break;
    case 'action-failed':
      finishAction(state, event.id, event, null, context);
      break;
  }
}

/**
 * Whether a request is settled is seen by a look, and not told by an event, which may be of a step on the way. Where there is a round a
 * second the next one is soon enough, and a look that has failed keeps its own pause.
 */
function lookIfOnItsWay<Memory>(state: Draft<Memory>, context: StepContext): void {
  const { reading, readFailure, pursuit, lookDueAt } = state;
  if (lookInterval(context.tunables) <= LOOK_ON_THE_WAY || readFailure !== null) return;
  if (reading === null || (!isOnItsWay(pursuit, context.now) && !isGrowthOnItsWay(state, context))) return;
  const due = maxMillis(context.now, addMillis(reading.at, LOOK_AFTER_MOVE));
  state.lookDueAt = minMillis(lookDueAt, due);
}

/**
 * On a host an alarm is answered again after a look: the host may have had too little free a while ago, and somebody else may have made
 * the guest smaller since. So is one of a guest that could have more than it came with, for only the policy says how much.
 */
function lookAgain<Memory>(state: Draft<Memory>, context: StepContext): void {
  const { now } = context;
  const { guest, relief, policyDueAt, reading } = state;
  if (!isRelieved(relief, now) || policyDueAt === null) return;
  if (guest.pool === undefined && !canGrow(state, context)) return;
  // A guest may tell of as many alarms as it likes: the whole host is looked at for it once a second.
  const due = reading === null ? now : maxMillis(now, addMillis(reading.at, LOOK_ON_THE_WAY));
  state.policyDueAt = minMillis(policyDueAt, due);
  state.lookDueAt = minMillis(state.lookDueAt, due);
}

function observe<Memory>(safeguards: Safeguards, state: Draft<Memory>, raw: Reading, context: StepContext): void {
  const { now, tunables } = context;
  const reading = safeguards.believe(raw, now, readingAgeMax(tunables));
  const before = state.pursuit;
  const held = bootHeldIn(reading);
  if (held !== null) state.pursuit = observePursuit(before, held, now);
  state.maximumSeen = maximumBy(state.reading, reading, state.maximumSeen);
  if (reading.current.known) state.heldSeen = reading.current.value;
  state.reading = reading;
  // A look may have begun when its last device was still there.
  const growth = state.guest.capabilities.growthBlock === undefined ? undefined : reading.growth;
  if (growth !== undefined && observeGrowth(state, growth, context)) goOn(safeguards, state, context);
  if (state.pursuit !== before) {
    tellProgress(state, before, context);
    withdrawPromise(state, context);
  }
  if (state.awaitsReturn !== null && hasReturned(state, state.awaitsReturn)) state.awaitsReturn = null;
  state.readFailure = null;
  state.lookingSince = null;
  state.lookDueAt = nextLook(state, context);
}

/** A look that finds less than was seen may be mistaken: two of them are believed. Null = never known. */
function maximumBy(before: Reading | null, reading: Reading, seen: Pages | null): Pages | null {
  const [last, now] = [before === null ? null : bootMaximumIn(before), bootMaximumIn(reading)];
  if (now === null || seen === null || now >= seen) return now ?? seen;
  return last === null ? seen : minPages(seen, maxPages(last, now));
}

/** The policy's time, or that at which a guest would be stuck, when one of them comes before the next look is due anyway. */
function nextLook<Memory>(state: GuestState<Memory>, context: StepContext): Millis {
  const { now, tunables } = context;
  const { policyDueAt, guest, pursuit } = state;
  const isMoving = isOnItsWay(pursuit, now) || isToBeWithdrawn(state, now) || isGrowthOnItsWay(state, context);
  const isOnTheWay = guest.pool !== undefined && (isMoving || isOwed(state));
  const pause = isOnTheWay ? LOOK_ON_THE_WAY : lookInterval(tunables);
  const byPause = lookAfter(pause, guest, now, isOnTheWay);
  // One for the policy that comes a moment later is that look too.
  const isMerged = !isOnTheWay && policyDueAt !== null && policyDueAt <= now + pause + HALF_BEAT;
  const latest = isMerged ? maxMillis(byPause, policyDueAt) : byPause;
  const patient = isOnTheWay ? patienceEnd(pursuit) : null;
  return soonerOf(soonerOf(latest, policyDueAt, now), patient, now);
}

/** Whether it has had its patience before it was asked: the next look takes the promise back. */
function isToBeWithdrawn<Memory>(state: GuestState<Memory>, now: Millis): boolean {
  const { pursuit } = state;
  return pursuit !== null && isSpent(pursuit, now) && pursuit.target > (bootHeldBy(state) ?? pursuit.target);
}

/** Near the pause's end, on the guest's beat; one that is on its way does not wait longer for that. */
function lookAfter(pause: Millis, guest: GuestDescription, now: Millis, isOnTheWay: boolean): Millis {
  const end = addMillis(now, pause);
  const onBeat = beatNear(end, beatOf(guest, LOOK_ON_THE_WAY));
  return isOnTheWay ? minMillis(onBeat, end) : onBeat;
}

/** The sooner of both; what is not after now does not count. */
const soonerOf = (due: Millis, other: Millis | null, now: Millis): Millis =>
  other !== null && other > now ? minMillis(due, other) : due;

function failLook<Memory>(
  state: Draft<Memory>,
  { code, message }: Extract<GuestEvent, { kind: 'reading-failed' }>,
  context: StepContext,
): void {
  if (state.readFailure === null) tellFailure(context, state, { part: 'look', code }, `could not be read: ${message}`);
  state.readFailure = message;
  state.lookingSince = null;
  state.lookDueAt = addMillis(
    context.now,
    isAwaitingMore(state, context) ? LOOK_ON_THE_WAY : lookInterval(context.tunables),
  );
}

/** Whether it is to have memory that is not promised without a look at its host: one that failed must not cost it an interval. */
const isAwaitingMore = <Memory>(state: GuestState<Memory>, { now }: StepContext): boolean =>
  state.guest.pool !== undefined && (isOwed(state) || isRelieved(state.relief, now));

function decideIfDue<Memory>({ policy, safeguards }: Rules<Memory>, state: Draft<Memory>, context: StepContext): void {
  const { now, tunables } = context;
  const { reading, policyDueAt } = state;
  if (reading === null || policyDueAt === null || policyDueAt > now) return;
  if (state.isReleased) {
    state.policyDueAt = null;
    return;
  }
  const { hasOverflowTier, deflatesOnOom = false, keepsMemory = false } = state.guest.capabilities;
  const byRule = policy.decide({ reading, tunables, hasOverflowTier, deflatesOnOom }, state.memory, now);
  const wished = keepsMemory ? whereKept(state, byRule) : byRule;
  const isToHaveAll = isRelieved(state.relief, now) || state.awaitsReturn !== null;
  const decided = isToHaveAll ? whileRelieved(state, wished) : wished;
  const decision = decisionFor(safeguards, state, decided, context);
  context.note(decision);
  state.memory = decided.memory;
  state.policyDueAt = dueAfter(state, decision, { wakeAt: decided.wakeAt, due: policyDueAt, now });
  state.decision = decision;
  if (state.isDriven) carryOut(safeguards, state, decision, context);
  state.lookDueAt = nextLook(state, context);
}

function retune<Memory>(
  policy: GuestPolicy<Memory>,
  state: Draft<Memory>,
  change: TunableChange,
  context: StepContext,
): void {
  const { guest, policyDueAt: due } = state;
  const { memory, wakeAt } = policy.retune(change, state.memory, due, context.now);
  state.memory = memory;
  const own = wakeAt === due ? due : onOwnBeat(guest, wakeAt, context.now);
  // Its beat does not put off what the policy wants sooner.
  const isSooner = due !== null && wakeAt !== null && own !== null && wakeAt <= due;
  state.policyDueAt = isSooner ? minMillis(due, own) : own;
  // One that is due now is not put off by a write.
  state.lookDueAt = minMillis(state.lookDueAt, nextLook(state, context));
  if (change.after.selfballooning === 0) state.relief = null;
  const isAsleep = change.after.selfballooning === 0 && change.after.frontswap_selfshrinking === 0;
  state.isReleased = state.isReleased && isAsleep;
}
