/**
 * The ports: what the shell must fill in for the core to have any effect. The daemon fills them with real hypervisors and a
 * real clock, the simulator with its own; the loop between them is the same.
 */
import type { HypervisorError } from '../errors.js';
import { millis, type GuestSize, type Millis, type Pages } from '../units.js';
import type { Alarm } from './alarm.js';
import type { GuestLimits } from './limits.js';
import type { HostReading, PoolId } from './pool.js';
import type { GuestId, Reading } from './reading.js';

/** What a source of guests can do. Each has a consequence in the core; nothing asks which hypervisor it is. */
export interface Capabilities {
  /** False: the guest is only watched; decisions are made and shown, never carried out. */
  readonly canSetTarget: boolean;
  /** There is a tier that catches swapped pages and can be shrunk. False: self-shrinking stays off. */
  readonly hasOverflowTier: boolean;
  /**
   * The guest's balloon gives memory back by itself before anything in the guest is killed for want of it. Left out or false: only swap
   * catches what a smaller guest needs all the same, and one without swap is made no smaller.
   */
  readonly deflatesOnOom?: boolean;
  /** The guests are made up by a simulator. Everything shown says so. */
  readonly isSimulated: boolean;
  /**
   * The guest can be given memory beyond what it was started with, in whole blocks of so many pages, 1 or more. Its readings have
   * `growth` then. Left out: it has its boot memory and no more.
   */
  readonly growthBlock?: Pages;
  /**
   * What this guest gives up of its boot memory stays with its emulator: its host gains nothing by it, so nothing of that is taken.
   * Left out: false.
   */
  readonly keepsMemory?: boolean;
}

/** A guest as its adapter announces it. */
export interface GuestDescription {
  readonly id: GuestId;
  /** For people. */
  readonly name: string;
  readonly capabilities: Capabilities;
  /** The host memory that it shares with others; left out where nobody here can tell. */
  readonly pool?: PoolId;
  /** One look at it is one at all others of its host too, so they are asked about together, once an interval. Left out: false. */
  readonly isSeenWithAll?: boolean;
  /** What its hypervisor's administrator allows it. What our own configuration says of the guest comes first, bound by bound. */
  readonly limits?: GuestLimits;
  /** Another guest until it rebooted, and driven here: what it began with may be what that one was left. Left out: false. */
  readonly isRebooted?: boolean;
  /** Least that it is ever set to, whatever is said of it elsewhere. Left out: 0. */
  readonly floorFirm?: Pages;
}

/** What a hypervisor tells unasked. */
export type GuestNotice =
  | { readonly kind: 'guest-came'; readonly guest: GuestDescription }
  | { readonly kind: 'guest-left'; readonly guest: GuestId }
  /** Its name, its limits or what it can do is another now. */
  | { readonly kind: 'guest-changed'; readonly guest: GuestDescription }
  /** Memory gets tight in a guest, between two looks at it. */
  | { readonly kind: 'guest-alarm'; readonly guest: GuestId; readonly alarm: Alarm }
  /** What it holds has changed, between two looks at it. */
  | { readonly kind: 'guest-moved'; readonly guest: GuestId };

/** One finding of a look at guests. */
export type ReadOutcome =
  /** The host's own memory, from the same look as the guests' readings that follow. */
  | { readonly kind: 'host-reading'; readonly host: HostReading }
  | { readonly kind: 'reading'; readonly guest: GuestId; readonly reading: Reading }
  | { readonly kind: 'reading-failed'; readonly guest: GuestId; readonly error: HypervisorError };

/**
 * No answer of a hypervisor to a look or a request within this is a failure; closing waits as long for requests that are on their way.
 * Seen: 0.4 to 40 ms; a busy host may take far longer.
 */
export const CALL_TIME_LIMIT = millis(5_000);

/**
 * A hypervisor, or the inside of one guest. All calls take an `AbortSignal` that ends them at their time limit. They throw
 * `HypervisorError` and nothing else.
 */
export interface Hypervisor {
  /** A short word for messages, also the first part of its guests' ids: `xen-guest`, `embedded` … */
  readonly kind: string;
  /** One sentence for people: what is being driven (or watched) here. */
  readonly description: string;
  /** Guests as they come and go, first those that are there already. Ends when `signal` is aborted. */
  watchGuests(signal: AbortSignal): AsyncIterable<GuestNotice>;
  /** Looks at the guests named, and reports each as soon as it is known: a slow guest does not hold up the others. */
  read(guests: readonly GuestId[], report: (outcome: ReadOutcome) => void, signal: AbortSignal): Promise<void>;
  /**
   * Asks for a new size of what it keeps of its boot memory, which for most guests is all they have; what is plugged in comes on
   * top and is not changed. That it returns means "asked", not "reached": only a later reading says what was reached. The newest
   * size asked of a guest wins: a call that ran out of time must not take effect after a newer one. One that waits for another
   * and is overtaken by a newer one rejects with `EUNAVAILABLE` and never takes effect.
   */
  setTarget(guest: GuestId, target: GuestSize, signal: AbortSignal): Promise<void>;
  /**
   * Asks a guest to have `plugged` pages beyond its boot memory, in all: whole blocks, 0 or more. What is said of `setTarget` goes for
   * it too: it means "asked", and the newest wins. Left out where no guest can grow.
   */
  setGrowth?(guest: GuestId, plugged: Pages, signal: AbortSignal): Promise<void>;
  /** Asks the overflow tier to give back pages until it holds at most `to`. Returns what was done, in words for the log. */
  shrinkOverflow(guest: GuestId, to: Pages, signal: AbortSignal): Promise<string>;
  /**
   * Where guests may be that cannot be asked now, each with the reason, for people; also those that are just being met. Empty: all who
   * are there are known. Left out where that cannot be.
   */
  unreached?(): readonly string[];
  /**
   * Whether somebody is being met, for the first time or after he was lost, so that it is not known yet whether he is there or cannot be
   * asked: some seconds, and until those who are there were seen once. Left out: never.
   */
  readonly isMeeting?: boolean;
  /**
   * Lets go of every handle. What was asked of guests stays as it is. Waits for requests that are on their way and
   * could still take effect, for `CALL_TIME_LIMIT` at most, and rejects where one of them does not end.
   */
  close(): Promise<void>;
}

/** A store that holds what a guest swaps out, and that can be asked to give pages back. */
export interface OverflowTier {
  /** Pages that it holds now, or why it is not there at present. One that has gone absent may come back. */
  readonly read: () => Promise<OverflowReading>;
  /**
   * Gives pages back until at most `to` remain, as far as that is safe now. A tier that can give back large pieces only may
   * keep more for now, remember what it owes, and later fall below `to`, but never give back more than was asked for in sum.
   * Says what was done and what was left.
   */
  shrinkTo(to: Pages, signal: AbortSignal): Promise<string>;
  close(): Promise<void>;
}

/** What a tier holds, of how much, in pages; or why it cannot be used at present. */
export type OverflowReading =
  | { readonly kind: 'present'; readonly used: Pages; readonly total: Pages }
  | { readonly kind: 'absent'; readonly why: string };

/** The only source of time. */
export interface Clock {
  now(): Millis;
  /** Resolves at `at` (at once if that is past), or as soon as `signal` is aborted. Never rejects. */
  sleepUntil(at: Millis, signal: AbortSignal): Promise<void>;
  /** A signal that is aborted `length` from now, or up to a hundredth of that later. */
  timeLimit(length: Millis): AbortSignal;
  /** A timer that calls `run` each time it goes off. It is not set yet. For what runs so often that a promise each time counts. */
  timer(run: () => void): Timer;
  /** Resolves when what has come by now from outside has been taken in, so that it can be dealt with together. Never rejects. */
  gather(): Promise<void>;
}

/** Made by a clock. Goes off once each time it is set. */
export interface Timer {
  /** Goes off `length` from now, 0 or more, and not when it was set to before. */
  set(length: Millis): void;
  /** Does not go off any more, unless it is set again. */
  clear(): void;
}
