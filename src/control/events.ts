/** What can happen to the core, as plain data. Everything the shell learns comes in as one of these. */
import type { ErrorCode } from '../errors.js';
import type { Alarm } from './alarm.js';
import type { HostReading } from './pool.js';
import type { GuestDescription } from './ports.js';
import type { GuestId, Reading } from './reading.js';

/** Identifies an action, so that its answer can be told from answers to questions no longer open. */
export type ActionId = number;

/** What is learnt of one guest. One of a guest that is not there any more is ignored. */
export type GuestEvent =
  | { readonly kind: 'reading'; readonly guest: GuestId; readonly reading: Reading }
  /** Memory gets tight in the guest, between two looks at it. */
  | { readonly kind: 'guest-alarm'; readonly guest: GuestId; readonly alarm: Alarm }
  /** Its hypervisor says that what it holds has changed. By how much, the next look says. */
  | { readonly kind: 'guest-moved'; readonly guest: GuestId }
  | { readonly kind: 'reading-failed'; readonly guest: GuestId; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: 'action-done'; readonly guest: GuestId; readonly id: ActionId; readonly note: string | null }
  | {
      readonly kind: 'action-failed';
      readonly guest: GuestId;
      readonly id: ActionId;
      readonly code: ErrorCode;
      readonly message: string;
    };

/** What is learnt of guests coming and going, of a host's memory, and of questions from outside. */
export type HostEvent =
  | { readonly kind: 'guest-came'; readonly guest: GuestDescription }
  | { readonly kind: 'guest-changed'; readonly guest: GuestDescription }
  | { readonly kind: 'host-reading'; readonly host: HostReading }
  | { readonly kind: 'guest-left'; readonly guest: GuestId }
  | {
      readonly kind: 'tunable-write';
      /** Names the question; the answer carries it back. */
      readonly id: ActionId;
      readonly name: string;
      readonly text: string;
      readonly mayChange: boolean;
    }
  | { readonly kind: 'release'; readonly id: ActionId }
  | { readonly kind: 'time-passed' };

/** Everything that a step can be told. */
export type Event = GuestEvent | HostEvent;
