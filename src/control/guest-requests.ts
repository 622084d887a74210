/**
 * What one guest is asked for, and how it is followed until it is there or does not get anywhere. It does not decide what to
 * ask for.
 */
import type { ErrorCode } from '../errors.js';
import { guestSize, NO_PAGES, pagesToMibDown, type Millis, type Pages } from '../units.js';
import type { Action, FailedPart, GuestDecision, Tell } from './actions.js';
import type { ActionId, GuestEvent } from './events.js';
import type { GuestDescription } from './ports.js';
import { bootHeldBy, type Draft, type GuestState } from './guest-state.js';
import type { PoolView } from './pool.js';
import {
  answerPursuit,
  beginPursuit,
  dropPromise,
  isSpent,
  withdrawPursuit,
  type Pursuit,
  type PursuitAnswer,
} from './pursuit.js';
import type { Tunables } from './tunables.js';

/** What one guest's control may see of the step it is part of. */
export interface StepContext {
  readonly now: Millis;
  readonly tunables: Tunables;
  /** Gives every action of the host its number. */
  readonly nextId: () => ActionId;
  readonly emit: (action: Action) => void;
  readonly note: (decision: GuestDecision) => void;
  /** What the guest's growth must fit in; null for one that shares no memory that anybody knows of. */
  readonly poolFor: (guest: GuestDescription) => PoolView | null;
}

export function askForShrinking<Memory>(state: Draft<Memory>, decision: GuestDecision, context: StepContext): void {
  if (decision.shrinkOverflowTo === null || state.shrinking !== null) return;
  const id = context.nextId();
  context.emit({ kind: 'shrink-overflow', guest: state.guest.id, id, to: decision.shrinkOverflowTo });
  state.shrinking = id;
}

/** Asks it to keep `target` of its boot memory. */
export function askFor<Memory>(state: Draft<Memory>, target: Pages, context: StepContext): void {
  const isThere = state.pursuit?.target === target && state.pursuit.phase === 'reached';
  if (isThere) return;
  const id = context.nextId();
  context.emit({ kind: 'set-target', guest: state.guest.id, id, target: guestSize(target) });
  state.pursuit = beginPursuit(state.pursuit, { id, target, current: bootHeldBy(state), now: context.now });
}

/**
 * A guest of shared memory that does not take what it was promised must not keep it from the others: it is asked to stay at
 * what it holds.
 */
export function withdrawPromise<Memory>(state: Draft<Memory>, context: StepContext): void {
  const { pursuit, guest } = state;
  const held = bootHeldBy(state);
  if (guest.pool === undefined || pursuit === null || !isSpent(pursuit, context.now)) return;
  if (held === null || held >= pursuit.target) return;
  const id = context.nextId();
  context.emit({ kind: 'set-target', guest: guest.id, id, target: guestSize(held) });
  state.pursuit = withdrawPursuit(pursuit, id, held);
}

/** How an action ended: null = well. */
export type Failure = Pick<Extract<GuestEvent, { kind: 'action-failed' }>, 'code' | 'message'> | null;

export function finishAction<Memory>(
  state: Draft<Memory>,
  id: ActionId,
  failure: Failure,
  note: string | null,
  context: StepContext,
): void {
  const { now } = context;
  const part = partOf(state, id);
  if (failure !== null) tellFailure(context, state, { part, code: failure.code }, failure.message);
  if (part === 'target') {
    state.pursuit = answered(state.pursuit, { id, failure, now, current: bootHeldBy(state) ?? NO_PAGES });
  } else if (part === 'growth' && state.growth !== null) {
    const { pursuit, plugged } = state.growth;
    state.growth = { ...state.growth, pursuit: answered(pursuit, { id, failure, now, current: plugged }) };
  } else {
    if (note !== null) tell(context, state, 'debug', 'overflow-shrunk', note);
    state.shrinking = null;
  }
}

function partOf<Memory>({ shrinking, growth }: GuestState<Memory>, id: ActionId): Exclude<FailedPart, 'look'> {
  if (shrinking === id) return 'shrinking';
  return growth?.pursuit?.id === id ? 'growth' : 'target';
}

type Answer = Omit<PursuitAnswer, 'failure'> & { readonly failure: Failure };

function answered(before: Pursuit | null, answer: Answer): Pursuit | null {
  const { id, failure, current } = answer;
  const pursuit = answerPursuit(before, { ...answer, failure: failure?.message ?? null });
  if (failure === null || pursuit?.id !== id || MAY_HAVE_LANDED.has(failure.code)) return pursuit;
  return dropPromise(pursuit, current);
}

/** Nobody knows what became of a request that was not answered: the guest may have been told, and may take what it was promised. */
const MAY_HAVE_LANDED: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['ETIMEDOUT', 'EUNAVAILABLE']);

export function tellProgress<Memory>(state: GuestState<Memory>, before: Pursuit | null, context: StepContext): void {
  const after = state.pursuit;
  if (before === null || after === null) return;
  if (after.isUncooperative && !before.isUncooperative) {
    tell(context, state, 'warning', 'uncooperative', `${describeStuck(state, after)}, for a minute now`);
  } else if (before.phase === 'stuck' && after.phase !== 'stuck') {
    tell(context, state, 'info', 'obeys-again', 'moves towards its target again');
  } else if (after.phase === 'stuck' && before.phase !== 'stuck' && !before.isUncooperative) {
    tell(context, state, 'info', 'stuck', describeStuck(state, after));
  }
}

const mibOf = (size: Pages): string => `${pagesToMibDown(size)} MiB`;

/** The two directions have different causes, and so different remedies. */
function describeStuck<Memory>(state: GuestState<Memory>, { target }: Pursuit): string {
  const held = bootHeldBy(state);
  return held !== null && held < target
    ? `does not get the memory it asks for (${mibOf(target)}); its host may have none left, or nobody answers`
    : `does not give memory up (down to ${mibOf(target)}); is its balloon driver loaded?`;
}

/** Each failure is told, however often: who shows it to people says it less often. */
export function tellFailure<Memory>(
  { emit }: StepContext,
  state: GuestState<Memory>,
  failure: NonNullable<Tell['failure']>,
  text: string,
): void {
  emit({ kind: 'tell', level: 'warning', code: 'action-failed', guest: state.guest.id, text, failure });
}

export function tell<Memory>(
  context: StepContext,
  state: GuestState<Memory>,
  level: Tell['level'],
  code: Tell['code'],
  text: string,
): void {
  context.emit({ kind: 'tell', level, code, guest: state.guest.id, text });
}
