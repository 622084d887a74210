/**
 * Growth past boot memory: how a size is made up of boot memory, which the balloon moves, and of blocks that are plugged in beyond
 * it. It decides what is asked of the one and of the other; how large the guest should be, and what its host has free, comes from
 * elsewhere.
 */
import {
  addMillis,
  addPages,
  maxPages,
  millis,
  minPages,
  NO_PAGES,
  pages,
  subtractPages,
  subtractToZero,
  type Millis,
  type Pages,
} from '../units.js';
import { promiseOf, type Pursuit } from './pursuit.js';

/** What is remembered of a guest that can grow. */
export interface Growth {
  /** What it had been asked to have plugged in when it was first seen: it gets that back when everything is given back. */
  readonly found: Pages;
  /** What it has plugged in, as last believed. */
  readonly plugged: Pages;
  /** What was asked for last; null = nothing yet. */
  readonly pursuit: Pursuit | null;
  /** It did not plug in what it was given; null = it did. */
  readonly up: Rest | null;
  /** It did not give up what was plugged in; null = it did. */
  readonly down: Rest | null;
}

/** After requests that came to nothing there is none in that direction for a while. */
export interface Rest {
  /** How many of them, one after another. */
  readonly times: number;
  /** Null = there is none any more, until what is plugged in changes. */
  readonly until: Millis | null;
  /** The least that it had plugged in since: of what did not grow, more than that ends it. Left out: not looked at since. */
  readonly had?: Pages;
}

/** What is plugged in, and what of that the guest does not bring online: null = nobody can tell yet. */
export interface PluggedIn {
  readonly plugged: Pages;
  readonly offline: Pages | null;
}

/**
 * No progress for this long is stuck. Plugging comes in steps as large as the guest's own blocks of memory: under software emulation
 * 256 MiB in blocks of 128 were seen to take 6 s.
 */
export const GROWTH_STUCK_AFTER = millis(10_000);
/** Linux itself tries again 50 s after memory could not be unplugged, and then less often (drivers/virtio/virtio_mem.c). */
const REST_FIRST = millis(60_000);
const REST_MAX = millis(16 * 60_000);
/** After so many tries memory counts as what cannot be moved: it is not asked for again, some 45 minutes after the first. */
const TRIES_MAX = 6;

export type Direction = 'up' | 'down';

/** One more request in that direction came to nothing. Only giving up is given up for good: who did not grow may have been starting. */
export function restAfter(before: Rest | null, direction: Direction, now: Millis): Rest {
  const times = (before?.times ?? 0) + 1;
  if (direction === 'down' && times >= TRIES_MAX) return { times, until: null };
  return { times, until: addMillis(now, millis(Math.min(REST_FIRST * 2 ** (times - 1), REST_MAX))) };
}

/** Whether there is to be no request now. */
export const isResting = (rest: Rest | null, now: Millis): boolean =>
  rest !== null && (rest.until === null || now < rest.until);

/** Whether a guest has grown since it did not: what came is online as far as anybody can tell. Null = it has. */
export function restWhileSmall(rest: Rest, before: Pages, { plugged, offline }: PluggedIn): Rest | null {
  const had = rest.had ?? before;
  if (plugged > had && offline === NO_PAGES) return null;
  const least = minPages(had, plugged);
  return least === rest.had ? rest : { ...rest, had: least };
}

/** What of it is online, in whole blocks. */
export const onlineOf = ({ plugged, offline }: PluggedIn, block: Pages): Pages =>
  subtractPages(plugged, blocksDown(offline ?? NO_PAGES, block));

/** Where a guest's memory lies. */
export interface GrowthView {
  readonly block: Pages;
  /** What it holds of its boot memory. */
  readonly boot: Pages;
  readonly bootMaximum: Pages;
  readonly plugged: Pages;
  /** Most that can be plugged in: whole blocks, or what is plugged in. */
  readonly pluggable: Pages;
}

export const heldIn = ({ boot, plugged }: GrowthView): Pages => addPages(boot, plugged);

export const blocksUp = (count: Pages, block: Pages): Pages => pages(Math.ceil(count / block) * block);
export const blocksDown = (count: Pages, block: Pages): Pages => pages(Math.floor(count / block) * block);

/** A size with what lies beyond boot memory in whole blocks: rounded up, or down where it would pass `ceiling`. */
export function wholeSize({ block, bootMaximum, pluggable }: GrowthView, size: Pages, ceiling: Pages | null): Pages {
  if (size <= bootMaximum) return size;
  const up = addPages(bootMaximum, minPages(pluggable, blocksUp(subtractPages(size, bootMaximum), block)));
  if (ceiling === null || up <= ceiling) return up;
  const most = minPages(size, ceiling);
  return most <= bootMaximum ? most : addPages(bootMaximum, blocksDown(subtractPages(most, bootMaximum), block));
}

/** A size that was cut to what the host has free: rounded down, but never to less than is plugged in already. */
export function wholeGrant({ block, bootMaximum, plugged }: GrowthView, size: Pages): Pages {
  const beyond = subtractToZero(size, bootMaximum);
  return beyond <= plugged ? size : addPages(bootMaximum, maxPages(plugged, blocksDown(beyond, block)));
}

export interface SizeQuestion {
  /** In all; above boot memory in whole blocks. */
  readonly target: Pages;
  readonly view: GrowthView;
  readonly growth: Growth;
  /** What the guest may take beyond what it holds, before it has unplugged as much; null = as much as there is. */
  readonly room: Pages | null;
  readonly now: Millis;
}

/** What to ask for. `boot` null: the balloon stays where it is. */
export interface SizePlan {
  readonly boot: Pages | null;
  readonly plugged: Pages;
}

/** How a guest gets to `target`: boot memory comes first on the way up and goes last on the way down. */
export const planSize = (question: SizeQuestion): SizePlan =>
  question.target > heldIn(question.view) ? planGrowing(question) : planShrinking(question);

function planGrowing({ target, view, growth, now }: SizeQuestion): SizePlan {
  const { bootMaximum, plugged, pluggable, block } = view;
  const boot = subtractToZero(target, plugged);
  if (boot <= bootMaximum) return { boot, plugged };
  if (isResting(growth.up, now)) return { boot: bootMaximum, plugged };
  const beyond = subtractPages(target, bootMaximum);
  // What a guest was found with, or has, may be no multiple of the largest block of its devices.
  const found = growth.found <= beyond ? growth.found : NO_PAGES;
  const blocks = minPages(pluggable, blocksDown(beyond, block));
  return { boot: bootMaximum, plugged: maxPages(plugged, maxPages(found, blocks)) };
}

/**
 * No more is unplugged than leaves the guest at `target` with what it holds of its boot memory at this moment, so that it cannot
 * get below on the way; and the balloon takes nothing as long as there is something to unplug, but gives back what it has taken
 * from boot memory. Where the guest does not let go of what is plugged in, the balloon does the rest.
 */
function planShrinking(question: SizeQuestion): SizePlan {
  const { target, view, room } = question;
  const { boot, bootMaximum, plugged, block } = view;
  const wanted = minPages(plugged, blocksUp(subtractToZero(target, bootMaximum), block));
  const least = leastPlugged(question, wanted);
  if (least >= plugged) {
    const isBalloonsTurn = plugged === 0 || wanted < plugged;
    return { boot: isBalloonsTurn ? maxPages(BOOT_MIN, subtractToZero(target, plugged)) : null, plugged };
  }
  const deflated = minPages(bootMaximum, maxPages(boot, subtractToZero(target, least)));
  const given = room === null ? deflated : minPages(deflated, addPages(boot, room));
  const needed = blocksUp(subtractToZero(target, boot), block);
  return { boot: given > boot ? given : null, plugged: minPages(plugged, maxPages(least, needed)) };
}

/** Nobody takes a balloon that leaves nothing. */
const BOOT_MIN = pages(1);

/** After it did not let go, one block is tried before all of it is asked for again. */
function leastPlugged({ view, growth, now }: SizeQuestion, wanted: Pages): Pages {
  if (isResting(growth.down, now)) return view.plugged;
  return growth.down === null ? wanted : maxPages(wanted, subtractToZero(view.plugged, view.block));
}

/** What it was told that it may have plugged in, taken or not. */
export function livePlugged({ plugged, pursuit }: Growth): Pages {
  return pursuit === null || pursuit.phase === 'failed' ? plugged : maxPages(plugged, pursuit.target);
}

/** What is promised to it to be plugged in. `asked`: what it was last asked to have, by whoever asked. */
export const promisedGrowth = ({ plugged, pursuit }: Growth, asked: Pages): Pages =>
  subtractToZero(maxPages(pursuit === null ? NO_PAGES : promiseOf(pursuit), asked), plugged);
