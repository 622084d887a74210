/**
 * How far a guest may be moved, whatever a policy wishes: its administrator's floor and ceiling, and what it can hold at all.
 */
import { maxPages, minPages, NO_PAGES, pages, subtractPages, type Pages } from '../units.js';
import type { Signal } from './signal.js';

/** Between what sizes a guest may be set. */
export interface GuestLimits {
  /** Least that the administrator lets the guest be set to. */
  readonly floor: Pages;
  /** Most that the administrator lets it be set to; null = only the guest's own maximum counts. */
  readonly ceiling: Pages | null;
}

/** By a guest's id or name, which may be that of a property of every object: to be asked for with `limitsFor`. */
export type LimitsByName = Readonly<Record<string, GuestLimits>>;

/** What is set for that guest, by its id first; null = nothing. */
export function limitsFor(limits: LimitsByName, { id, name }: Named): GuestLimits | null {
  const key = [id, name].find((one) => Object.hasOwn(limits, one));
  return key === undefined ? null : (limits[key] ?? null);
}

interface Named {
  readonly id: string;
  readonly name: string;
}

/** Of a guest for which nobody has set any: 0 pages, and its own maximum. */
export const NO_LIMITS: GuestLimits = { floor: NO_PAGES, ceiling: null };

/**
 * Our configuration's limits, and what its hypervisor's administrator allows. A bound in the configuration comes first, a floor of 0
 * being none; the other one counts as far as it does not contradict it. Nothing goes below `floorFirm`.
 */
export function joinLimits(configured: GuestLimits, given: GuestLimits, floorFirm: Pages = NO_PAGES): GuestLimits {
  const below = configured.ceiling === null ? given.floor : minPages(given.floor, configured.ceiling);
  const floor = maxPages(floorFirm, configured.floor > 0 ? configured.floor : below);
  const ceiling = configured.ceiling ?? given.ceiling;
  return { floor, ceiling: ceiling === null ? null : maxPages(ceiling, floor) };
}

/** The most that the guest may be set to now, or null when nobody knows. */
export function ceilingNow({ ceiling }: Pick<GuestLimits, 'ceiling'>, maximum: Signal<Pages>): Pages | null {
  if (!maximum.known) return ceiling;
  return ceiling === null ? maximum.value : minPages(ceiling, maximum.value);
}

/** The target after the limits, and whether one of them has changed it. */
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
  const ceiling = ceilingNow({ ceiling: gentleCeiling(question) }, maximum);
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
