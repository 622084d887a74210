/**
 * How one guest is asked for a size: through its balloon, and by plugging memory in or out where it can grow; and what follows from
 * how it does the latter. It does not decide on the size.
 */
import { addPages, minPages, NO_PAGES, pagesToMibDown, subtractToZero, type Pages } from '../units.js';
import type { GuestDecision } from './actions.js';
import {
  blocksUp,
  GROWTH_STUCK_AFTER,
  heldIn,
  isResting,
  onlineOf,
  planSize,
  restAfter,
  restWhileSmall,
  type Direction,
  type Growth,
  type GrowthView,
  type PluggedIn,
} from './growth.js';
import { askFor, askForShrinking, tell, type StepContext } from './guest-requests.js';
import { bootHeldBy, growthViewOf, heldBy, type Draft, type GuestState } from './guest-state.js';
import { beginPursuit, inPlaceOf, isOnItsWay, isDoubtful, observePursuit, promiseOf } from './pursuit.js';
import type { GrowthSignals } from './reading.js';
import type { Safeguards } from './safeguards.js';

export function carryOut<Memory>(
  safeguards: Safeguards,
  state: Draft<Memory>,
  decision: GuestDecision,
  context: StepContext,
): void {
  if (decision.target !== null) askForSize(safeguards, state, decision.target, context);
  askForShrinking(state, decision, context);
}

/** Asks it to hold `target` in all: granted, and in whole blocks beyond boot memory. */
export function askForSize<Memory>(
  safeguards: Safeguards,
  state: Draft<Memory>,
  target: Pages,
  context: StepContext,
): void {
  const { growth, maximumSeen } = state;
  if (growth === null) {
    askFor(state, target, context);
    return;
  }
  const view = growthViewOf(state);
  if (view === null) {
    // Where its memory lies is not known now; that it may have all of its boot memory can be said all the same.
    if (maximumSeen !== null && target >= maximumSeen) askFor(state, maximumSeen, context);
    return;
  }
  const room = roomFor(safeguards, state, view, context);
  const plan = planSize({ target, view, growth, room, now: context.now });
  if (plan.boot === null || isBootKept(state, plan.boot, view)) stayAtBoot(state, context);
  else askFor(state, plan.boot, context);
  askForGrowth(state, minPages(plan.plugged, usefulPlugged(state, view, context)), context);
}

/** Where its host gains nothing by boot memory, the balloon takes none in place of what is not unplugged, but for its administrator's ceiling. */
function isBootKept<Memory>({ guest, limits }: GuestState<Memory>, boot: Pages, view: GrowthView): boolean {
  if (guest.capabilities.keepsMemory !== true || boot >= view.boot) return false;
  return limits.ceiling === null || heldIn(view) <= limits.ceiling;
}

/** What does not come online is asked for no more, whatever the guest needs: as all that is plugged in, where it does not let go of that. */
function usefulPlugged<Memory>(
  { growth, reading }: GuestState<Memory>,
  { plugged, pluggable, block }: GrowthView,
  { now }: StepContext,
): Pages {
  const offline = offlineIn(reading?.growth);
  if (offline === null || offline < block || isResting(growth?.down ?? null, now)) return pluggable;
  return onlineOf({ plugged, offline }, block);
}

/** Null = nobody can tell yet. */
function offlineIn(signals: GrowthSignals | undefined): Pages | null {
  if (signals?.offline === undefined) return NO_PAGES;
  return signals.offline.known ? signals.offline.value : null;
}

/** What it may take beyond what it holds; null = nobody counts. */
function roomFor<Memory>(
  { grant }: Safeguards,
  { guest }: GuestState<Memory>,
  view: GrowthView,
  { poolFor }: StepContext,
): Pages | null {
  const pool = poolFor(guest);
  if (pool === null) return null;
  const held = heldIn(view);
  return subtractToZero(grant(addPages(view.bootMaximum, view.plugged), held, pool), held);
}

/** A balloon that is on its way is stopped where it is. */
function stayAtBoot<Memory>(state: Draft<Memory>, context: StepContext): void {
  const held = bootHeldBy(state);
  const { pursuit } = state;
  if (held === null || pursuit === null || pursuit.isWithdrawn || pursuit.phase === 'reached') return;
  if (pursuit.target !== held) askFor(state, held, context);
}

/** Asks it to have `plugged` beyond its boot memory, unless that has been asked for or is there already. */
function askForGrowth<Memory>(state: Draft<Memory>, plugged: Pages, context: StepContext): void {
  const { growth, guest } = state;
  const block = guest.capabilities.growthBlock;
  if (growth === null || block === undefined) return;
  const { pursuit } = growth;
  // Where it is, and what it was found with, need be no multiple of the largest block of its devices.
  const isAsItWas = plugged === growth.plugged || plugged === growth.found;
  const target = isAsItWas ? plugged : blocksUp(plugged, block);
  if (isAsked(growth, target)) {
    // A refusal of what is not wanted any more is nobody's trouble.
    if (pursuit?.phase === 'failed') state.growth = { ...growth, pursuit: null };
    return;
  }
  const id = context.nextId();
  context.emit({ kind: 'set-growth', guest: guest.id, id, plugged: target });
  // To stay where it is, is another thing than what it did not get to: that was no want of patience.
  const isAnew = pursuit?.phase === 'stuck';
  const request = beginPursuit(isAnew ? null : pursuit, { id, target, current: growth.plugged, now: context.now });
  state.growth = { ...growth, pursuit: isAnew ? inPlaceOf(pursuit, request) : request };
}

/** A request that failed may have got through all the same: then it must be taken back. */
function isAsked({ pursuit, plugged }: Growth, target: Pages): boolean {
  if (pursuit !== null && pursuit.phase !== 'failed') return pursuit.target === target;
  return target === plugged && (pursuit === null || promiseOf(pursuit) <= plugged);
}

/** A reading says what is plugged in. Returns whether a request has come to its end by it, one way or the other. */
export function observeGrowth<Memory>(state: Draft<Memory>, signals: GrowthSignals, context: StepContext): boolean {
  const { plugged, asked } = signals;
  if (!plugged.known) return false;
  const now: PluggedIn = { plugged: plugged.value, offline: offlineIn(signals) };
  const before = state.growth ?? {
    found: asked.known ? asked.value : plugged.value,
    plugged: plugged.value,
    pursuit: null,
    up: null,
    down: null,
  };
  const moved = afterMove(before, now);
  if (isLively(before, moved)) tell(context, state, 'info', 'obeys-again', 'plugs memory in or out again');
  const pursuit = observePursuit(moved.pursuit, plugged.value, context.now, GROWTH_STUCK_AFTER);
  state.growth = { ...moved, pursuit };
  if (pursuit?.phase === 'stuck') giveUp(state, context);
  takeBackOffline(state, now, context);
  return pursuit !== moved.pursuit && (pursuit?.phase === 'reached' || pursuit?.phase === 'stuck');
}

const isLively = (before: Growth, after: Growth): boolean =>
  (before.up !== null && after.up === null) || (before.down !== null && after.down === null);

/** Other memory than before is plugged in: what could not be moved may be gone, and who did not grow does, once it is online. */
function afterMove(before: Growth, now: PluggedIn): Growth {
  const up = before.up === null ? null : restWhileSmall(before.up, before.plugged, now);
  if (now.plugged !== before.plugged) return { ...before, plugged: now.plugged, up, down: null };
  return up === before.up ? before : { ...before, up };
}

/** It has plugged in what is of no use to it: that is a growth which came to nothing, and goes back to its host. */
function takeBackOffline<Memory>(state: Draft<Memory>, now: PluggedIn, context: StepContext): void {
  const { growth, guest, isDriven, isReleased } = state;
  const block = guest.capabilities.growthBlock;
  if (growth === null || block === undefined || !isDriven || isReleased) return;
  const online = onlineOf(now, block);
  if (online === now.plugged) return;
  if (!isResting(growth.up, context.now)) {
    const up = restAfter(growth.up, 'up', context.now);
    state.growth = { ...growth, up };
    if (up.times === 1) tell(context, state, 'info', 'stuck', describeOffline(now.plugged, online));
  }
  if (!isResting(growth.down, context.now)) askForGrowth(state, online, context);
}

const describeOffline = (plugged: Pages, online: Pages): string =>
  `does not bring online what is plugged in (${mibOf(plugged)}, ${mibOf(online)} of them online): set memhp_default_state=online_movable on its kernel's command line, or a udev rule that does the same`;

const mibOf = (size: Pages): string => `${pagesToMibDown(size)} MiB`;

/** It does not get anywhere: the request is taken back, and there is none in that direction for a while. */
function giveUp<Memory>(state: Draft<Memory>, context: StepContext): void {
  const { growth } = state;
  const pursuit = growth?.pursuit ?? null;
  if (growth === null || pursuit === null) return;
  const direction = pursuit.target > growth.plugged ? 'up' : 'down';
  const rest = restAfter(growth[direction], direction, context.now);
  state.growth = { ...growth, [direction]: rest };
  tellStuck(state, { direction, asked: pursuit.target, plugged: growth.plugged }, context);
  askForGrowth(state, growth.plugged, context);
}

interface Stuck {
  readonly direction: Direction;
  readonly asked: Pages;
  readonly plugged: Pages;
}

/** Once when it begins, and once when nothing more is tried. */
function tellStuck<Memory>(state: GuestState<Memory>, stuck: Stuck, context: StepContext): void {
  const rest = state.growth?.[stuck.direction];
  const { asked, plugged } = stuck;
  if (stuck.direction === 'up') {
    const text = `does not plug in the memory it was given (${mibOf(asked)}, it has ${mibOf(plugged)}); is its driver loaded, and does it bring new memory online?`;
    if (rest?.times === 1) tell(context, state, 'info', 'stuck', text);
    return;
  }
  const text = `does not give up what was plugged in (down to ${mibOf(asked)}, it has ${mibOf(plugged)}); something in it cannot be moved`;
  const instead = state.guest.capabilities.keepsMemory === true ? '' : ': its balloon does the rest';
  if (rest?.times === 1) tell(context, state, 'info', 'stuck', `${text}${instead}`);
  if (rest?.until === null) tell(context, state, 'warning', 'uncooperative', `${text}: it is not asked any more`);
}

/**
 * A guest of which nobody knows whether it was told of its promise, and which is not asked for anything any more, would keep that from
 * others for good: it is told to stay where it is.
 */
export function endDoubt<Memory>(state: Draft<Memory>, context: StepContext): void {
  const { pursuit, growth, guest, decision, policyDueAt, isDriven, isReleased } = state;
  const { now } = context;
  const isAskedAgain = policyDueAt !== null && decision?.target !== null;
  if (guest.pool === undefined || !isDriven || isReleased || isAskedAgain) return;
  const held = bootHeldBy(state);
  if (held !== null && isDoubtful(pursuit, held, now)) askFor(state, held, context);
  if (growth === null || !isDoubtful(growth.pursuit, growth.plugged, now, GROWTH_STUCK_AFTER)) return;
  askForGrowth(state, growth.plugged, context);
}

/** Whether plugging in or out is under way. */
export const isGrowthOnItsWay = <Memory>({ growth }: GuestState<Memory>, { now }: StepContext): boolean =>
  growth !== null && isOnItsWay(growth.pursuit, now, GROWTH_STUCK_AFTER);

/** Whether it could be given more than it has now. */
export function canGrow<Memory>(state: GuestState<Memory>, { now }: StepContext): boolean {
  const view = growthViewOf(state);
  return view !== null && view.plugged < view.pluggable && !isResting(state.growth?.up ?? null, now);
}

/** What was decided last is asked for once more, now that a request has ended; not beyond what it holds, for that may be gone. */
export function goOn<Memory>(safeguards: Safeguards, state: Draft<Memory>, context: StepContext): void {
  const target = state.decision?.target ?? null;
  const held = heldBy(state);
  if (!state.isDriven || state.isReleased || target === null || held === null || target > held) return;
  askForSize(safeguards, state, target, context);
}
