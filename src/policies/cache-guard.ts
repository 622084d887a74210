/**
 * Lifted over a rule that does not look at the page cache: what a guest reads back after it was pushed out shows that it lives from
 * its cache, and then it keeps it. Where nobody counts that, all of its cache counts as needed. It makes no guest smaller than the rule
 * would, and takes nothing faster; whose memory it is that a guest gets back is not its business.
 */
import type { GuestPolicy, GuestView, Wish } from '../control/policy.js';
import type { Reading } from '../control/reading.js';
import type { Reason, ReasonCode } from '../control/reason.js';
import {
  addPages,
  dividePages,
  maxPages,
  minPages,
  NO_PAGES,
  subtractPages,
  subtractToZero,
  type Millis,
  type Pages,
} from '../units.js';
import { afterQuiet, afterRefaults, isAtRest, nearness, stepMax, type CacheNeed } from './cache-need.js';
import { missingBy, REFAULTS_START, watchRefaults, type RefaultMemory, type RefaultSight } from './refault-watch.js';

/** What the guard remembers of a guest's page cache. JSON data. */
export interface CacheMemory {
  readonly refaults: RefaultMemory;
  /** Null: nothing was found out. */
  readonly need: CacheNeed | null;
}

/** What the guard remembers beside what the rule under it does. Records from before there was a guard do not have it. */
export interface WithCacheMemory {
  readonly cache?: CacheMemory;
}

/** What it remembers before its first look. */
export const CACHE_START: CacheMemory = { refaults: REFAULTS_START, need: null };

/** `policy`, with the page cache of its guests guarded. */
export function guardCache<Memory extends object>(policy: GuestPolicy<Memory>): GuestPolicy<Memory & WithCacheMemory> {
  return {
    ...policy,
    initialMemory: { ...policy.initialMemory, cache: CACHE_START },
    decide(view, memory, now) {
      const decided = policy.decide(view, memory, now);
      const { wish, cache } = guarded(view, decided.wish, memory.cache ?? CACHE_START, now);
      const { shrinkOverflowTo, wakeAt } = decided;
      return { wish, shrinkOverflowTo, memory: { ...decided.memory, cache }, wakeAt };
    },
    retune(change, memory, wakeAt, now) {
      const retuned = policy.retune(change, memory, wakeAt, now);
      return { ...retuned, memory: { ...retuned.memory, cache: memory.cache ?? CACHE_START } };
    },
  };
}

interface Guarded {
  readonly wish: Wish;
  readonly cache: CacheMemory;
}

type Resize = Extract<Wish, { kind: 'resize' }>;

function guarded({ reading, tunables }: GuestView, wish: Wish, cache: CacheMemory, now: Millis): Guarded {
  // What is counted while the guest is let alone says nothing about what we do to it.
  if (tunables.selfballooning === 0) return { wish, cache: { ...cache, refaults: REFAULTS_START } };
  const cached = reading.cached.known ? reading.cached.value : NO_PAGES;
  const { memory: refaults, sight } = watchRefaults(cache.refaults, reading.refaults, cached);
  const isReboot = sight.kind === 'beginning' && sight.isReboot;
  const watched: CacheMemory = { refaults, need: isReboot ? null : cache.need };
  if (wish.kind === 'hold' || !reading.current.known) return { wish, cache: watched };
  const current = reading.current.value;
  const unknown = unknownOf(reading, sight);
  const room = roomOf(reading, current);
  if (unknown !== null || room === null || sight.kind === 'unknown') {
    return { wish: unwatched(wish, { reading, room, current, detail: unknown ?? '' }), cache: watched };
  }
  if (sight.kind !== 'counted') return { wish: raised(wish, { least: room.untouched }), cache: watched };
  return watchful(wish, watched, { sight, room, now });
}

/** A guest's memory as the guard sees it, in the count of `current`. */
interface Room {
  readonly current: Pages;
  /** Page cache, and free memory with it. */
  readonly cached: Pages;
  readonly forFiles: Pages;
  /** Free beyond what a kernel keeps free anyway. */
  readonly spare: Pages;
  /** As small as it can be made without touching its page cache. */
  readonly untouched: Pages;
  /** What all that it has filled would fit in, with what a kernel keeps free: above `current` where it has begun to run short. */
  readonly filled: Pages;
}

/** A kernel that works keeps this much free, also after its watermarks were boosted for a while. */
const KEPT_PART = 32;
/** Of the most that it could hold, where its reserve is not known: for huge pages Linux keeps up to 7.5 % free (min_free_kbytes). */
const KEPT_PART_UNKNOWN = 12;

function roomOf({ free, cached, reserve, maximum }: Reading, current: Pages): Room | null {
  if (!free.known) return null;
  const most = maximum.known ? maxPages(maximum.value, current) : current;
  const kept = reserve.known
    ? maxPages(addPages(reserve.value, dividePages(reserve.value, 2)), dividePages(current, KEPT_PART))
    : dividePages(most, KEPT_PART_UNKNOWN);
  const isFree = minPages(current, free.value);
  const spare = subtractToZero(isFree, kept);
  const inCache = minPages(cached.known ? cached.value : NO_PAGES, current);
  const forFiles = minPages(current, addPages(inCache, isFree));
  const filled = addPages(subtractPages(current, isFree), kept);
  return { current, cached: inCache, forFiles, spare, untouched: subtractPages(current, spare), filled };
}

/** What is missing to watch a guest's page cache, in words; null = nothing is. */
function unknownOf({ free, cached }: Reading, sight: RefaultSight): string | null {
  if (sight.kind === 'unknown') return `refaults: ${sight.detail}`;
  const missing = !cached.known ? (['cached', cached] as const) : !free.known ? (['free', free] as const) : null;
  return missing === null ? null : `${missing[0]}: ${missing[1].reason}, ${missing[1].detail}`;
}

interface Unwatched {
  readonly reading: Reading;
  readonly room: Room | null;
  readonly current: Pages;
  readonly detail: string;
}

/**
 * Nobody says whether the guest lives from its page cache: then it may, and all that it has filled counts as needed. Nothing but
 * free memory is taken, and it is given back when files fill what is left.
 */
function unwatched(wish: Resize, { reading, room, current, detail }: Unwatched): Wish {
  if (room === null && tellsOnlyItsUse(reading)) return wish;
  return raised(wish, { least: room?.filled ?? current, code: 'cache-unwatched', detail });
}

/**
 * A guest that tells one number has no way to tell of its page cache. Whoever sets up such guests has chosen a rule that leaves
 * them a third more than they use.
 */
const tellsOnlyItsUse = ({ free, cached, committed }: Reading): boolean =>
  [free, cached, committed].every((signal) => !signal.known && signal.reason === 'not-reported');

interface Watch {
  readonly sight: Extract<RefaultSight, { kind: 'counted' }>;
  readonly room: Room;
  readonly now: Millis;
}

function watchful(wish: Resize, cache: CacheMemory, watch: Watch): Guarded {
  const { sight, room, now } = watch;
  const perMinute = Math.round(sight.perMinute);
  // With memory to spare it only reads back what it had lost before, and pushes nothing out for it.
  if (sight.isExcessive && room.spare === 0) {
    const missing = missingBy(sight.fresh, room.cached);
    const need = afterRefaults(cache.need, { has: room.forFiles, missing, now });
    const least = maxPages(room.current, sizeFor(need, room, now));
    return { wish: raised(wish, inUse(least, perMinute)), cache: { refaults: emptied(cache.refaults), need } };
  }
  const { need } = cache;
  // What is free beyond its need would not help it: a limit inside the guest can make it read again and again with memory to spare.
  if (!sight.isQuiet) {
    const least = need === null ? room.untouched : maxPages(room.untouched, sizeFor(need, room, now));
    return { wish: raised(wish, inUse(least, perMinute)), cache };
  }
  const stepped = subtractToZero(room.untouched, stepMax(room.cached));
  if (need === null) return { wish: raised(wish, { least: stepped }), cache };
  const left = isTried(wish, need, watch) ? afterQuiet(need, now) : need;
  const bound = left === null ? NO_PAGES : sizeFor(left, room, now);
  const code = bound >= stepped ? inUse(bound, perMinute) : { least: stepped };
  return { wish: raised(wish, code), cache: { ...cache, need: left } };
}

/** What was counted so far has been answered. */
const emptied = (refaults: RefaultMemory): RefaultMemory => ({ ...refaults, excess: 0 });

/** How large the guest must be to have what it is to keep, beside what it uses otherwise. */
function sizeFor(need: CacheNeed, { current, forFiles }: Room, now: Millis): Pages {
  return isAtRest(need, forFiles, now) ? current : addPages(subtractPages(current, forFiles), need.keep);
}

/** Whether the guest has no more than what it is to keep, and would get less: only then its being quiet says something. */
const isTried = (wish: Resize, need: CacheNeed, { room, now }: Omit<Watch, 'sight'>): boolean =>
  wish.target < sizeFor(need, room, now) && room.forFiles <= addPages(need.keep, nearness(need.keep));

interface Least {
  /** The least that the guest is to be asked to hold now. */
  readonly least: Pages;
  /** Why, where that is more than that its cache is taken step by step. */
  readonly code?: ReasonCode;
  readonly detail?: string;
  readonly perMinute?: number;
}

const inUse = (least: Pages, perMinute: number): Least => ({ least, code: 'cache-in-use', perMinute });

/** The wish, with a target that is not below `least`. */
function raised(wish: Resize, { least, code, detail, perMinute }: Least): Wish {
  if (least <= wish.target) return wish;
  if (code === undefined) return { ...wish, target: least, reason: onItsWay(withNumbers(wish, wish.goal, least)) };
  const goal = maxPages(wish.goal, least);
  const { numbers } = withNumbers(wish, goal, least);
  const reason: Reason = {
    code,
    numbers: perMinute === undefined ? numbers : { ...numbers, refaults: perMinute },
    ...(detail === undefined ? {} : { detail }),
  };
  return { ...wish, goal, target: least, reason };
}

/** What goes to its floor in smaller steps than the rule's is not there yet. */
const onItsWay = (reason: Reason): Reason => (reason.code === 'at-floor' ? { ...reason, code: 'above-goal' } : reason);

/** A reason's numbers may be in another count than the wish; what is added is the same in both. */
function withNumbers({ goal, target, reason }: Resize, newGoal: Pages, newTarget: Pages): Reason {
  const { goal: goalNumber = goal, target: targetNumber = target } = reason.numbers;
  const more = newGoal - goal;
  return {
    ...reason,
    numbers: {
      ...reason.numbers,
      goal: goalNumber + more,
      target: targetNumber + newTarget - target,
      ...(more === 0 ? {} : { cache: more }),
    },
  };
}
