/**
 * The seam between control and the rules. A policy thinks about one guest: it turns what is known into a wish. It never
 * touches anything; what it remembers is plain data that control keeps for it.
 */
import type { Millis, Pages } from '../units.js';
import type { Reading } from './reading.js';
import type { Reason } from './reason.js';
import type { TunableName, Tunables } from './tunables.js';

/** What a policy sees of its guest. Signals that are too old or cannot be true are unknown in it. */
export interface GuestView {
  readonly reading: Reading;
  readonly tunables: Tunables;
  /** A tier that catches swapped pages is there and can be shrunk. */
  readonly hasOverflowTier: boolean;
  /** Its balloon gives memory back by itself before anything in the guest is killed for want of it. Left out: false. */
  readonly deflatesOnOom?: boolean;
}

/** Where the policy would like the guest to be, and how far it would go this time. */
export type Wish =
  | {
      readonly kind: 'resize';
      /** Not damped, not limited. */
      readonly goal: Pages;
      /** After the policy's own damping and floor; what it asks the balloon for. */
      readonly target: Pages;
      /** The least that it would ever leave to this guest, counted like `target`. */
      readonly floor: Pages;
      readonly reason: Reason;
    }
  | { readonly kind: 'hold'; readonly reason: Reason };

/** What a policy says when it is asked. */
export interface Decision<Memory> {
  readonly wish: Wish;
  /** Shrink the overflow tier to this many pages; null = leave it alone. */
  readonly shrinkOverflowTo: Pages | null;
  readonly memory: Memory;
  /**
   * When the policy wants to be asked again; null = not before a tunable says so. What is left until then is taken for an interval, and counted
   * from when it was due: a policy that was asked late is asked again sooner by as much, by half of it at most; and on a host as its guest's beat wants it.
   */
  readonly wakeAt: Millis | null;
}

/** A tunable with its values before and after; all others are the same in both. */
export interface TunableChange {
  readonly name: TunableName;
  readonly before: Tunables;
  readonly after: Tunables;
}

/**
 * A rule for one guest. A call depends on nothing but its arguments, and does not change them; `memory` is what the call before
 * returned.
 */
export interface GuestPolicy<Memory> {
  readonly name: string;
  /** What the policy remembers at the start. JSON data. */
  readonly initialMemory: Memory;
  /** The first time it wants to be asked, for a guest that came at `now`; null = not before a tunable says so. */
  firstWake(tunables: Tunables, now: Millis): Millis | null;
  decide(view: GuestView, memory: Memory, now: Millis): Decision<Memory>;
  /** A tunable was written. `wakeAt` is when the policy was going to be asked. */
  retune(
    change: TunableChange,
    memory: Memory,
    wakeAt: Millis | null,
    now: Millis,
  ): { readonly memory: Memory; readonly wakeAt: Millis | null };
}
