/**
 * Giving a guest back what was taken from it: at once and wholly, when it is under pressure or when we leave. It does not know
 * whether its host has the memory; that is asked of the step.
 */
import {
  addPages,
  maxPages,
  minMillis,
  minPages,
  NO_PAGES,
  subtractPages,
  subtractToZero,
  type Millis,
  type Pages,
} from '../units.js';
import type { Alarm } from './alarm.js';
import { tell, type StepContext } from './guest-requests.js';
import { askForSize } from './guest-size.js';
import { bootHeldBy, boundFor, heldBy, liveTarget, mostFor, type Draft, type GuestState } from './guest-state.js';
import type { Decision, Wish } from './policy.js';
import type { PoolView } from './pool.js';
import { forgiven, inPlaceOf, isLeftOut, REACHED_WITHIN } from './pursuit.js';
import { isSpeaking } from './reading.js';
import type { Reason } from './reason.js';
import { isRelieved } from './relief.js';
import type { Safeguards } from './safeguards.js';

/**
 * An alarm: everything is given back at once, by no step computed from what the guest holds now, and whatever else is known of
 * it. A guest can do itself no harm with it, and to others no more than by needing memory.
 */
export function relieve<Memory>(
  safeguards: Safeguards,
  state: Draft<Memory>,
  alarm: Alarm,
  context: StepContext,
): void {
  const { now, tunables } = context;
  if (state.isReleased || tunables.selfballooning === 0) return;
  // Nobody spoke from inside of one that was never made smaller: what it has is what it was given.
  if (alarm.cause === 'restarted' && !isOurs(state)) return;
  if (SPEECHLESS.has(alarm.cause) && isOurs(state)) state.awaitsReturn = alarm.at;
  const before = state.relief;
  const relief = safeguards.relieve(before, now);
  const most = mostFor(state);
  if (relief === null) return;
  state.relief = relief;
  // What it could have is not known yet: nothing is taken from it meanwhile, and it is asked for as soon as it is.
  if (most === null || hasOrGets(state, most)) return;
  if (!isRelieved(before, now)) tell(context, state, 'info', 'under-pressure', describePressure(alarm));
  const live = liveTarget(state);
  giveBack(safeguards, state, { reason: underPressure(most, alarm), bound: boundFor(state), live }, context);
}

/** Nobody in it says what it needs, for as long as that lasts: it is to have everything, however long it takes until it can take it. */
const SPEECHLESS: ReadonlySet<Alarm['cause']> = new Set<Alarm['cause']>(['silent', 'restarted']);

/** Whether the last thing that was asked for is all there is, and the guest moves there; or it has it without being asked. */
function hasOrGets<Memory>(state: GuestState<Memory>, most: Pages): boolean {
  const requests = [state.pursuit, state.growth?.pursuit ?? null].filter((request) => request !== null);
  const held = heldBy(state);
  if (requests.length === 0) return held !== null && held >= most;
  if ((boundFor(state) ?? NO_PAGES) < most || requests.some(({ phase }) => phase === 'failed')) return false;
  // Asking one that stands still again would only keep memory from others that it does not take.
  return state.guest.pool !== undefined || requests.every(({ phase }) => phase !== 'stuck');
}

const SEEN: Readonly<Record<Alarm['cause'], string>> = {
  stalled: 'is under pressure (tasks wait for memory)',
  low: 'is under pressure (little memory is available)',
  silent: 'does not report any more, and may be under pressure',
  restarted: 'begins anew, and nobody in it says yet what it needs',
};

const describePressure = ({ cause }: Alarm): string => `${SEEN[cause]}: gets everything back`;

const underPressure = (ceiling: Pages, alarm: Alarm | null): Reason => ({
  code: 'under-pressure',
  numbers: {
    ceiling,
    ...(alarm === null || alarm.availablePages === null ? {} : { available: alarm.availablePages }),
  },
  ...(alarm === null ? {} : { detail: alarm.cause }),
});

/**
 * Whether a guest that had fallen silent `since` then speaks again, or has all that it may have: it has nothing more to wait for. What it had
 * said before may be believed for longer than it takes to be silent.
 */
export function hasReturned<Memory>(state: GuestState<Memory>, since: Millis): boolean {
  const { reading } = state;
  if ([reading?.committed, reading?.used].some((signal) => signal?.known === true && signal.at > since)) return true;
  const [most, held] = [mostFor(state), heldBy(state)];
  return most !== null && held !== null && held + REACHED_WITHIN >= most;
}

/** The policy goes on remembering, but until the relief is over the guest is to have everything, and keeps its pages in swap. */
export function whileRelieved<Memory>(state: GuestState<Memory>, decided: Decision<Memory>): Decision<Memory> {
  const most = mostFor(state);
  if (decided.wish.kind === 'hold' && decided.wish.reason.code === 'switched-off') return decided;
  if (most === null) return { ...decided, wish: neverDown(state, decided.wish), shrinkOverflowTo: null };
  // What it came with does not bound a guest that can be given more.
  const isBeyond = state.growth !== null && decided.wish.kind === 'resize' && decided.wish.target > most;
  if (isBeyond) return { ...decided, shrinkOverflowTo: null };
  const reason = underPressure(most, null);
  const held = heldBy(state) ?? NO_PAGES;
  // A guest above its ceiling is brought down to it at another time: it keeps what it holds, also where it was told to give it up.
  const wish: Wish =
    most > minPages(held, boundFor(state) ?? NO_PAGES)
      ? { kind: 'resize', goal: most, target: maxPages(most, held), floor: held, reason }
      : { kind: 'hold', reason };
  return { ...decided, wish, shrinkOverflowTo: null };
}

/**
 * Of a guest's boot memory nothing is taken where its host gains nothing by that, and what was taken before is given back as the host has
 * room. Its limits hold as for any other, and what is plugged in goes by the rule, once its boot memory is whole.
 */
export function whereKept<Memory>(state: GuestState<Memory>, decided: Decision<Memory>): Decision<Memory> {
  const { wish } = decided;
  const [boot, bootHeld, held] = [state.maximumSeen, bootHeldBy(state), heldBy(state)];
  if (wish.kind === 'hold' && wish.reason.code === 'switched-off') return decided;
  if (wish.kind === 'resize' && boot !== null && wish.target >= boot) return decided;
  const reason: Reason = { code: 'keeps-memory', numbers: boot === null ? {} : { ceiling: boot } };
  const stays: Decision<Memory> = { ...decided, wish: { kind: 'hold', reason } };
  if (boot === null || bootHeld === null || held === null) return stays;
  const ceiling = state.limits.ceiling ?? boot;
  const isWhole = bootHeld + REACHED_WITHIN >= boot;
  if (isWhole && held === bootHeld && ceiling >= boot && (boundFor(state) ?? boot) >= held) return stays;
  // Boot memory first: what is plugged in goes when that is whole.
  const target = isWhole ? boot : addPages(boot, subtractPages(held, bootHeld));
  if (wish.kind === 'resize') return { ...decided, wish: { ...wish, goal: boot, target, reason } };
  const most = minPages(target, state.limits.ceiling ?? target);
  if (held >= most) return decided;
  return { ...decided, wish: { kind: 'resize', goal: most, target: most, floor: NO_PAGES, reason } };
}

/** While the most that it may have is not known. */
function neverDown<Memory>(state: GuestState<Memory>, wish: Wish): Wish {
  const held = heldBy(state);
  if (wish.kind === 'hold' || (held !== null && wish.target >= held)) return wish;
  return { kind: 'hold', reason: underPressure(held ?? NO_PAGES, null) };
}

/**
 * Asks for the most that the guest may have, and then leaves it alone. A guest of shared memory goes on being looked at until it
 * has what it may have: what its host has free is known only after a look, and may be too little at first.
 */
export function release<Memory>(safeguards: Safeguards, state: Draft<Memory>, context: StepContext): void {
  const ceiling = mostFor(state);
  if (ceiling === null) {
    tell(context, state, 'warning', 'cannot-release', 'its maximum was never known, so it keeps what it has');
    return;
  }
  const isFirst = !state.isReleased;
  state.isReleased = true;
  if (isFirst && state.guest.pool !== undefined) state.lookDueAt = minMillis(state.lookDueAt, context.now);
  if (!isOurs(state)) return;
  const bound = boundFor(state);
  const live = liveTarget(state);
  const before = state.pursuit;
  // A request of its own: a guest that was stuck must answer this one too before it counts as released.
  if (isFirst) state.pursuit = null;
  giveBack(safeguards, state, { reason: { code: 'released', numbers: { ceiling } }, bound, live }, context);
  if (!isFirst || before === null) return;
  // It may have what it was promised before, and is ours, also where there is nothing to give it now.
  state.pursuit = state.pursuit === null ? forgiven(before, context.now) : inPlaceOf(before, state.pursuit);
}

/** Whether we, or one of us before, may have taken something from it: a guest of shared memory in which nobody speaks has its own. */
export const isOurs = <Memory>({ guest, pursuit, reading }: GuestState<Memory>): boolean =>
  guest.pool === undefined ||
  guest.isRebooted === true ||
  pursuit !== null ||
  (reading !== null && isSpeaking(reading));

/**
 * Whether a released guest of shared memory neither has nor was told to take all that it may have. A look that took too long takes nothing
 * from one that was seen to have it.
 */
export function isOwed<Memory>(state: GuestState<Memory>): boolean {
  if (!state.isReleased || !state.isDriven || state.guest.pool === undefined || !isOurs(state)) return false;
  const seen = minPages(state.heldSeen ?? NO_PAGES, boundFor(state) ?? state.heldSeen ?? NO_PAGES);
  return maxPages(seen, liveTarget(state)) < (mostFor(state) ?? NO_PAGES);
}

interface Return {
  readonly reason: Reason;
  /** Where it was on its way to before. */
  readonly bound: Pages | null;
  /** What it was told last that it may take; 0: nothing, or it was refused. */
  readonly live: Pages;
}

function giveBack<Memory>(
  safeguards: Safeguards,
  state: Draft<Memory>,
  { reason, bound, live }: Return,
  context: StepContext,
): void {
  const most = mostFor(state);
  if (most === null) return;
  const target = granted(safeguards, state, { most, bound, live }, context);
  state.decision = { guest: state.guest.id, goal: most, wished: most, target, shrinkOverflowTo: null, reason };
  context.note(state.decision);
  if (state.isDriven && target !== null) askForSize(safeguards, state, target, context);
}

/**
 * Null: there is nothing to ask for now. What a guest was told that it may take is never taken back here. One that was told to give
 * something up, and by the last look has not yet, must be told otherwise; what it still held then was not free, and needs no room.
 */
function granted<Memory>(
  safeguards: Safeguards,
  state: GuestState<Memory>,
  { most, bound, live }: { readonly most: Pages } & Omit<Return, 'reason'>,
  { poolFor, now }: StepContext,
): Pages | null {
  const held = heldBy(state);
  const view = poolFor(state.guest);
  if (view === null) return maxPages(most, held ?? NO_PAGES);
  if (held === null || isLeftOut(state.pursuit, now)) return null;
  const mayHave = bound !== null && bound < held ? bound : maxPages(held, live);
  const target = safeguards.grant(most, bound === null ? held : leastHeld(state, { held, bound }, view), view);
  if (target > mayHave) return target;
  // Where the request that told it so is forgotten, it is told again.
  return live > held && state.pursuit === null ? live : null;
}

/**
 * What it still holds for certain. Where its host was looked at after it, what it may have given up in between is part of what the host
 * could spare then, and is not to be promised twice.
 */
function leastHeld(
  { reading }: GuestState<unknown>,
  { held, bound }: { readonly held: Pages; readonly bound: Pages },
  { at, free, reserve }: PoolView,
): Pages {
  const isOlder = reading?.current.known === true && at !== null && reading.current.at < at;
  if (!isOlder || bound >= held) return held;
  return maxPages(bound, subtractToZero(held, subtractToZero(free, reserve)));
}
