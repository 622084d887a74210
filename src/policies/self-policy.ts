/**
 * Both controllers of specification 1 as one policy: it finds their inputs in a reading, runs the one and then the other, and
 * says when it wants to be asked again. It decides nothing from a signal that is not known.
 */
import type { Field, Signal } from '../control/signal.js';
import type { Signals } from '../control/reading.js';
import type { Reason } from '../control/reason.js';
import type { Decision, GuestPolicy, GuestView, TunableChange, Wish } from '../control/policy.js';
import { AUTOMATIC, type Tunables } from '../control/tunables.js';
import {
  addMillis,
  addPages,
  dividePages,
  mib,
  mibToPages,
  NO_PAGES,
  secondsToMillis,
  subtractToZero,
  type Millis,
  type Pages,
} from '../units.js';
import { selfballoonStep, type SelfballoonInputs, type SelfballoonStep } from './selfballoon.js';
import { SELFSHRINK_START, selfshrinkStep, type SelfshrinkMemory, type SelfshrinkStep } from './selfshrink.js';

/** The later kernels' answer to guests that the bare law ran out of memory: a tenth of the guest's RAM. */
const AUTOMATIC_RESERVED_PART = 10;

const isOn = (tunables: Tunables): boolean => tunables.selfballooning === 1 || tunables.frontswap_selfshrinking === 1;

const afterInterval = (tunables: Tunables, now: Millis): Millis =>
  addMillis(now, secondsToMillis(tunables.selfballoon_interval));

const hold = (code: Reason['code'], detail: string): Wish => ({ kind: 'hold', reason: { code, numbers: {}, detail } });

/** Seconds after which a write asks for the step, or null when it asks for nothing. Source: specification 1, "Tunables". */
export function scheduledBy({ name, before, after }: TunableChange): number | null {
  const switchedOn = before[name] === 0 && after[name] === 1;
  if (name === 'selfballooning' && switchedOn) return after.selfballoon_interval;
  if (name === 'frontswap_selfshrinking' && switchedOn && after.selfballooning === 0) return after.selfballoon_interval;
  return null;
}

/** Specification 1 as a policy. */
export const selfPolicy: GuestPolicy<SelfshrinkMemory> = {
  name: 'selfballoon',
  initialMemory: SELFSHRINK_START,
  firstWake: (tunables, now) => (isOn(tunables) ? afterInterval(tunables, now) : null),
  decide,
  retune(change, memory, wakeAt, now) {
    // The old write handler set the countdown to the new value, whatever it was at.
    const countdown = change.name === 'frontswap_inertia' ? change.after.frontswap_inertia : memory.countdown;
    return { memory: { ...memory, countdown }, wakeAt: wakeAfter(change, wakeAt, now) };
  },
};

/** A write never puts the step off. A shorter interval holds at once: a slip of the keyboard must not last for years. */
function wakeAfter(change: TunableChange, wakeAt: Millis | null, now: Millis): Millis | null {
  const fromNow = afterInterval(change.after, now);
  if (scheduledBy(change) === null && (wakeAt === null || change.name !== 'selfballoon_interval')) return wakeAt;
  return wakeAt === null || fromNow < wakeAt ? fromNow : wakeAt;
}

function decide(view: GuestView, memory: SelfshrinkMemory, now: Millis): Decision<SelfshrinkMemory> {
  const { tunables } = view;
  const shrink = shrinkStep(view, memory);
  return {
    wish: tunables.selfballooning === 1 ? balloonWish(view) : hold('switched-off', 'selfballooning is 0'),
    shrinkOverflowTo: shrink.shrinkTo,
    memory: shrink.memory,
    wakeAt: tunables.selfballooning === 1 || shrinksItself(view) ? afterInterval(tunables, now) : null,
  };
}

const shrinksItself = (view: GuestView): boolean => view.tunables.frontswap_selfshrinking === 1 && view.hasOverflowTier;

function shrinkStep(view: GuestView, memory: SelfshrinkMemory): SelfshrinkStep {
  const used = view.reading.overflowUsed;
  if (!shrinksItself(view) || !used.known) return { memory, shrinkTo: null };
  return selfshrinkStep(memory, used.value, view.tunables);
}

function balloonWish(view: GuestView): Wish {
  const inputs = gatherInputs(view);
  if (!inputs.known) return hold('signal-unknown', inputs.detail);
  const step = selfballoonStep(inputs.value, view.tunables);
  if (step.kind === 'impossible') return hold('implausible', step.why);
  return {
    kind: 'resize',
    goal: inDriversCount(step.goal, inputs.value),
    target: step.balloonTarget,
    floor: inDriversCount(step.floor, inputs.value),
    reason: explain(inputs.value, step),
  };
}

/** The driver counts more pages than the kernel manages; goal and target are shown in the driver's count, like `current`. */
const inDriversCount = (count: Pages, inputs: SelfballoonInputs): Pages =>
  subtractToZero(addPages(count, inputs.balloonCurrentPages), inputs.totalramPages);

const NEEDED = ['total', 'reserve', 'maxPfn', 'committed', 'current'] as const;

function gatherInputs(view: GuestView): Field<SelfballoonInputs> {
  const { total, reserve, maxPfn, committed, current, overflowUsed } = view.reading;
  // A tier that cannot be seen may be gone, and then nothing would catch what a smaller guest must swap.
  const frontswap: Signal<Pages> = view.hasOverflowTier
    ? overflowUsed
    : { known: true, value: NO_PAGES, at: view.reading.at };
  if (total.known && reserve.known && maxPfn.known && committed.known && current.known && frontswap.known) {
    return {
      known: true,
      value: {
        totalramPages: total.value,
        totalreservePages: reserve.value,
        maxPfn: maxPfn.value,
        committedPages: committed.value,
        balloonCurrentPages: current.value,
        frontswapPages: shrinksItself(view) ? frontswap.value : NO_PAGES,
        reservedPages: reservedPages(view.tunables, total.value),
      },
    };
  }
  return { known: false, reason: 'not-reported', detail: describeUnknown(view.reading, frontswap) };
}

function describeUnknown(reading: Signals, frontswap: Signal<Pages>): string {
  const lines: string[] = [];
  const note = (name: string, signal: Signal<Pages>): void => {
    if (!signal.known) lines.push(`${name}: ${signal.reason}, ${signal.detail}`);
  };
  for (const name of NEEDED) note(name, reading[name]);
  note('overflowUsed', frontswap);
  return lines.join('; ');
}

/** `selfballoon_reserved_mb` in pages, for a guest that has `total` now. */
export function reservedPages(tunables: Tunables, total: Pages): Pages {
  const reserved = tunables.selfballoon_reserved_mb;
  return reserved === AUTOMATIC ? dividePages(total, AUTOMATIC_RESERVED_PART) : mibToPages(mib(reserved));
}

type Target = Extract<SelfballoonStep, { kind: 'target' }>;

function explain(inputs: SelfballoonInputs, step: Target): Reason {
  return {
    code: reasonCode(inputs, step),
    numbers: {
      current: inputs.totalramPages,
      goal: step.goal,
      target: step.target,
      floor: step.floor,
      committed: inputs.committedPages,
      reserve: inputs.totalreservePages,
      reserved: inputs.reservedPages,
      overflow: inputs.frontswapPages,
    },
  };
}

function reasonCode(inputs: SelfballoonInputs, step: Target): Reason['code'] {
  if (step.target === step.floor && step.goal < step.floor) return 'at-floor';
  if (inputs.totalramPages > step.goal) return 'above-goal';
  return inputs.totalramPages < step.goal ? 'below-goal' : 'at-goal';
}
