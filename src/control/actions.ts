/** What the core asks the shell to do, as plain data. The shell answers those with an id by an event that names it. */
import type { ErrorCode } from '../errors.js';
import type { GuestSize, Pages } from '../units.js';
import type { ActionId } from './events.js';
import type { GuestId } from './reading.js';
import type { Reason } from './reason.js';
import type { TunableName } from './tunables.js';

/** What is asked of a guest. Those with an id are answered by `action-done` or `action-failed`. */
export type GuestAction =
  /** Look at the guest now; answered by `reading` or `reading-failed`. */
  | { readonly kind: 'look'; readonly guest: GuestId }
  /** The guest is to keep so much of its boot memory; what is plugged in comes on top. */
  | { readonly kind: 'set-target'; readonly guest: GuestId; readonly id: ActionId; readonly target: GuestSize }
  /** The guest is to have so much plugged in beyond its boot memory, in whole blocks. */
  | { readonly kind: 'set-growth'; readonly guest: GuestId; readonly id: ActionId; readonly plugged: Pages }
  | { readonly kind: 'shrink-overflow'; readonly guest: GuestId; readonly id: ActionId; readonly to: Pages };

/** The codes of what is told. They are interface: docs/reference/reasons.md says what each means. */
export type TellCode =
  | 'guest-came'
  | 'guest-left'
  | 'stuck'
  | 'uncooperative'
  | 'obeys-again'
  | 'action-failed'
  | 'under-pressure'
  | 'cannot-release'
  | 'tunable-set'
  | 'tunable-refused'
  | 'released'
  | 'overflow-shrunk'
  | 'host-unseen'
  | 'host-seen-again';

/** What can fail of what is done with a guest. */
export type FailedPart = 'look' | 'target' | 'growth' | 'shrinking';

/** Something that a person should hear of. Not answered. */
export interface Tell {
  readonly kind: 'tell';
  readonly level: 'debug' | 'info' | 'warning';
  readonly code: TellCode;
  readonly guest: GuestId | null;
  readonly text: string;
  /** Of `action-failed`, where something failed at one guest: what, and with which code. */
  readonly failure?: { readonly part: FailedPart; readonly code: ErrorCode };
}

/** What became of a question. A refusal changed nothing; `why` is a sentence for people. */
export type Answer =
  { readonly result: 'ok' } | { readonly result: 'EPERM' | 'EINVAL' | 'ENOENT'; readonly why: string };

/** What is asked of the shell itself. Not answered. */
export type HostAction =
  | Tell
  /** The answer to a question from outside (a tunable written, a release asked for). */
  | { readonly kind: 'answer'; readonly id: ActionId; readonly answer: Answer }
  /** A tunable has a new value, or a refused one must be put back where it is shown. */
  | { readonly kind: 'show-tunable'; readonly name: TunableName; readonly text: string };

/** Everything that a step can ask for. */
export type Action = GuestAction | HostAction;

/** What was decided about one guest in one step, whether or not anything was asked of it. Kept in the journal. */
export interface GuestDecision {
  readonly guest: GuestId;
  readonly goal: Pages | null;
  /** What the policy asked for, before limits; null = it holds. */
  readonly wished: Pages | null;
  /** After limits; null = nothing is asked of the guest. */
  readonly target: Pages | null;
  readonly shrinkOverflowTo: Pages | null;
  readonly reason: Reason;
}
