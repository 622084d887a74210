/**
 * What must hold whatever a policy wishes: no target outside a guest's limits, no memory taken on readings that are old or
 * cannot be true. *Unknown may grow, may not shrink.*
 */
import { maxPages, minPages, NO_PAGES, pages, subtractPages, type Millis, type Pages } from '../units.js';
import { NOTHING_KNOWN, type Reading, type Signals } from './reading.js';
import { beginRelief, type Relief } from './relief.js';
import { refuseStale, unknown, type Signal } from './signal.js';

export interface GuestLimits {
  /** Least that the administrator lets the guest be set to. */
  readonly floor: Pages;
  /** Most that the administrator lets it be set to; null = only the guest's own maximum counts. */
  readonly ceiling: Pages | null;
}

export const NO_LIMITS: GuestLimits = { floor: NO_PAGES, ceiling: null };

/** The most that the guest may be set to now, or null when nobody knows. */
export function ceilingNow(limits: GuestLimits, maximum: Signal<Pages>): Pages | null {
  if (!maximum.known) return limits.ceiling;
  return limits.ceiling === null ? maximum.value : minPages(limits.ceiling, maximum.value);
}

export type Limited =
  | { readonly kind: 'as-wished'; readonly target: Pages }
  | { readonly kind: 'clamped-to-floor' | 'clamped-to-ceiling'; readonly target: Pages };

/** A wish, and what bounds it. */
export interface LimitQuestion {
  readonly wished: Pages;
  /** Least that the policy leaves to a guest of this kind; no administrator's ceiling goes below it. */
  readonly policyFloor: Pages;
  readonly limits: GuestLimits;
  readonly maximum: Signal<Pages>;
  /** What the guest holds; null = not known. */
  readonly current: Pages | null;
  /** How slowly memory is taken: towards a ceiling as by the policy. */
  readonly downHysteresis: number;
}

/**
 * Holds a target within a guest's limits. The guest's own maximum is physical and always holds. A ceiling below what the guest
 * holds is approached step by step, and never below the policy's floor: it must not hurt more than the policy would.
 */
export function limitTarget(question: LimitQuestion): Limited {
  const { wished, limits, maximum } = question;
  const ceiling = ceilingNow({ ...limits, ceiling: gentleCeiling(question) }, maximum);
  const raised = maxPages(wished, limits.floor);
  if (ceiling !== null && raised > ceiling) return { kind: 'clamped-to-ceiling', target: ceiling };
  return raised === wished ? { kind: 'as-wished', target: wished } : { kind: 'clamped-to-floor', target: raised };
}

function gentleCeiling({ policyFloor, limits, current, downHysteresis }: LimitQuestion): Pages | null {
  if (limits.ceiling === null) return null;
  const ceiling = maxPages(limits.ceiling, policyFloor);
  if (current === null || current <= ceiling) return ceiling;
  // Rounded up, so that the last few pages are not left for ever.
  return subtractPages(current, pages(Math.ceil((current - ceiling) / downHysteresis)));
}

/**
 * What stands between a policy's wish and a guest, as one object that the step is given: so that a test can take one away and
 * show what happens to a guest without it. The product has all of them, always.
 */
export interface Safeguards {
  readonly believe: (reading: Reading, now: Millis, ageMax: Millis) => Reading;
  readonly limit: (question: LimitQuestion) => Limited;
  /** What an alarm leads to; null = nothing. */
  readonly relieve: (before: Relief | null, now: Millis) => Relief | null;
}

/** More memory than any machine has (2^52 bytes): what a guest says beyond this is a mistake or a lie. */
const PAGES_BELIEVABLE = 2 ** 40;

/** The signals that are page counts, and so can be checked against what a machine can hold. */
const PAGE_SIGNALS = [
  'current',
  'maximum',
  'total',
  'free',
  'available',
  'cached',
  'committed',
  'reserve',
  'maxPfn',
  'swapTotal',
  'swapUsed',
  'overflowUsed',
] as const;

/**
 * The reading with everything taken out that is too old or cannot be true. It is from a guest, who may be hostile: what is
 * left is still only a hint, and can hurt nobody but that guest.
 */
export function believable(reading: Reading, now: Millis, ageMax: Millis): Reading {
  const sound = isFresh(reading, now, ageMax) ? reading : withoutUnbelievable(reading, now, ageMax);
  const contradiction = contradictionIn(sound);
  if (contradiction === null) return withSoundMaximum(sound);
  return { ...NOTHING_KNOWN, at: reading.at, current: sound.current, total: contradiction };
}

/** Whether nothing needs taking out: nearly always, so this is written out, without looking signals up by name. */
function isFresh(reading: Reading, now: Millis, ageMax: Millis): boolean {
  const oldest = now - ageMax;
  const isSound = (signal: Signal<Pages>): boolean =>
    !signal.known || (signal.at >= oldest && signal.at <= now && isPageCount(signal.value));
  return (
    isSound(reading.current) &&
    isSound(reading.maximum) &&
    isSound(reading.total) &&
    isSound(reading.free) &&
    isSound(reading.available) &&
    isSound(reading.cached) &&
    isSound(reading.committed) &&
    isSound(reading.reserve) &&
    isSound(reading.maxPfn) &&
    isSound(reading.swapTotal) &&
    isSound(reading.swapUsed) &&
    isSound(reading.overflowUsed)
  );
}

const isPageCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0 && value <= PAGES_BELIEVABLE;

function withoutUnbelievable(reading: Reading, now: Millis, ageMax: Millis): Reading {
  const checked: Partial<Record<(typeof PAGE_SIGNALS)[number], Signal<Pages>>> = {};
  for (const name of PAGE_SIGNALS) checked[name] = believableSignal(reading[name], now, ageMax);
  return { ...reading, ...checked };
}

/** A guest that holds more than its maximum has another maximum than it says. */
function withSoundMaximum(reading: Reading): Reading {
  const { maximum, current } = reading;
  if (!maximum.known || !current.known || maximum.value >= current.value) return reading;
  const detail = `a maximum of ${maximum.value} pages, below the ${current.value} that it holds`;
  return { ...reading, maximum: unknown('implausible', detail) };
}

function believableSignal(signal: Signal<Pages>, now: Millis, ageMax: Millis): Signal<Pages> {
  if (!signal.known) return signal;
  if (!isPageCount(signal.value)) {
    return unknown('implausible', `${signal.value} pages is more than any machine has`);
  }
  return refuseStale(signal, now, ageMax);
}

function contradictionIn({ total, free, available, current }: Signals): Signal<Pages> | null {
  if (!total.known) return null;
  if (total.value === 0) return unknown('implausible', 'a guest without any RAM');
  if (free.known && free.value > total.value) {
    return unknown('implausible', `${free.value} pages free of ${total.value} in all`);
  }
  if (available.known && available.value > total.value) {
    return unknown('implausible', `${available.value} pages available of ${total.value} in all`);
  }
  if (current.known && current.value === 0)
    return unknown('implausible', 'the balloon driver says that the guest holds 0');
  return null;
}

export const SAFEGUARDS: Safeguards = { believe: believable, limit: limitTarget, relieve: beginRelief };
