/**
 * What everyone outside the loop sees: an immutable snapshot with a version. The loop publishes after each step, which costs
 * next to nothing; a snapshot is made only when somebody looks.
 */
import { describeReason } from '../control/describe.js';
import { bootHeldBy, type GuestState } from '../control/guest-state.js';
import type { HostReading } from '../control/pool.js';
import type { Pursuit } from '../control/pursuit.js';
import type { Reading } from '../control/reading.js';
import type { Reason } from '../control/reason.js';
import { knownValue } from '../control/signal.js';
import type { ControlState } from '../control/step.js';
import type { Tunables } from '../control/tunables.js';
import type { Millis, Pages } from '../units.js';
import { describeGrowthTrouble, growthFailuresOf, type GrowthFailures } from './growth-trouble.js';

/** What a guest is doing, in one word. */
export type GuestPhase =
  | 'waiting'
  | 'observed'
  | 'steady'
  | 'shrinking'
  | 'growing'
  | 'stuck'
  | 'uncooperative'
  | 'failed'
  | 'unreadable'
  | 'released';

/** One guest as it is shown. Sizes are pages of 4 KiB. */
export interface GuestRow {
  readonly id: string;
  readonly name: string;
  readonly isSimulated: boolean;
  /** False: decided and shown only. */
  readonly isDriven: boolean;
  readonly phase: GuestPhase;
  /** Pages that the guest holds, as last read back; null = not known. */
  readonly currentPages: Pages | null;
  /** The most that it could hold; null = not known. */
  readonly maximumPages: Pages | null;
  /** Where the policy would like it to be; null = the policy holds, or has not been asked yet. */
  readonly goalPages: Pages | null;
  /** What was asked for last (of an observed guest: what would be asked for); null = nothing. */
  readonly targetPages: Pages | null;
  /** Requests to plug memory in or out that came to nothing; null = it cannot grow. */
  readonly growthFailures: GrowthFailures | null;
  /** Null before the first decision. */
  readonly reason: Reason | null;
  /** The reason as a sentence, after what is wrong with what is plugged in. */
  readonly why: string;
  readonly reading: Reading | null;
}

/** One host's own memory. */
export interface HostRow {
  readonly name: string;
  /** Null = not known. */
  readonly totalPages: Pages | null;
  /** What no guest holds; null = not known. */
  readonly freePages: Pages | null;
  /** What is never promised to a guest. */
  readonly reservePages: Pages;
}

/** The state as it is shown. It does not change any more. */
export interface Snapshot {
  /** Rises by one with each step of the loop. */
  readonly version: number;
  /** When it was true, on the loop's clock. */
  readonly at: Millis;
  readonly isDryRun: boolean;
  /** What is being driven and what is watched, one sentence each. */
  readonly sources: readonly string[];
  readonly hasFrontswap: boolean;
  readonly tunables: Tunables;
  /** The memory that guests share, where somebody can see it. */
  readonly hosts: readonly HostRow[];
  readonly guests: readonly GuestRow[];
}

/** Where to look. The same snapshot is given until the loop has made a step. */
export interface ReadModel {
  snapshot(): Snapshot;
}

/** The read model, and the loop's end of it. */
export class PublishedState<Memory> implements ReadModel {
  #version = 0;
  #at: Millis;
  #state: ControlState<Memory>;
  #made: Snapshot | null = null;

  constructor(
    readonly sources: readonly string[],
    state: ControlState<Memory>,
    at: Millis,
  ) {
    this.#state = state;
    this.#at = at;
  }

  publish(state: ControlState<Memory>, at: Millis): void {
    this.#state = state;
    this.#at = at;
    this.#version += 1;
    this.#made = null;
  }

  snapshot(): Snapshot {
    this.#made ??= this.#make();
    return this.#made;
  }

  #make(): Snapshot {
    const { tunables, isDryRun, hasFrontswap, pools, guests } = this.#state;
    return {
      version: this.#version,
      at: this.#at,
      isDryRun,
      sources: this.sources,
      hasFrontswap,
      tunables,
      hosts: Object.values(pools).map(hostRow),
      guests: guests.list.map((guest) => guestRow(guest, this.#at)),
    };
  }
}

const hostRow = ({ pool, total, free, reserve }: HostReading): HostRow => ({
  name: pool,
  totalPages: knownValue(total),
  freePages: knownValue(free),
  reservePages: reserve,
});

function guestRow<Memory>(state: GuestState<Memory>, now: Millis): GuestRow {
  const { guest, reading, decision } = state;
  return {
    id: guest.id,
    name: guest.name,
    isSimulated: guest.capabilities.isSimulated,
    isDriven: state.isDriven,
    phase: phaseOf(state),
    currentPages: knownValue(reading?.current),
    maximumPages: knownValue(reading?.maximum),
    goalPages: decision?.goal ?? null,
    targetPages: decision?.target ?? null,
    growthFailures: growthFailuresOf(state),
    reason: decision?.reason ?? null,
    why: whyOf(state, now),
    reading,
  };
}

/** The first that fits, in the order of docs/reference/reasons.md. */
function phaseOf<Memory>(state: GuestState<Memory>): GuestPhase {
  const { pursuit, growth } = state;
  if (state.readFailure !== null) return 'unreadable';
  if (state.reading === null) return 'waiting';
  if (!state.isDriven) return 'observed';
  if (failedRequest(state) !== null) return 'failed';
  if (pursuit?.isUncooperative === true) return 'uncooperative';
  if (pursuit?.phase === 'stuck') return 'stuck';
  if (state.isReleased) return 'released';
  return wayOf(pursuit, bootHeldBy(state)) ?? wayOf(growth?.pursuit ?? null, growth?.plugged ?? null) ?? 'steady';
}

/** Where a request leads one that has `current`; null = it is there, or nothing was asked. */
function wayOf(request: Pursuit | null, current: Pages | null): 'shrinking' | 'growing' | null {
  if (request === null || request.phase === 'reached' || current === null) return null;
  return request.target < current ? 'shrinking' : 'growing';
}

const failedRequest = <Memory>({ pursuit, growth }: GuestState<Memory>): Pursuit | null =>
  [pursuit, growth?.pursuit ?? null].find((request) => request?.phase === 'failed') ?? null;

function whyOf<Memory>(state: GuestState<Memory>, now: Millis): string {
  if (state.readFailure !== null) return `could not be read: ${state.readFailure}`;
  const failed = failedRequest(state);
  if (failed !== null) return `its hypervisor refused: ${failed.failure ?? 'no reason given'}`;
  // In front: the end of a long sentence is cut off in the table.
  const why = [...describeGrowthTrouble(state, now), whyDecided(state)].join('; ');
  const refusal = state.reading?.refusal;
  // Signals grow too old when nothing newer is understood: a person must know that, and not only that they are old.
  if (refusal === undefined || why.includes(refusal)) return why;
  return `${why}; what it said last was not understood (${refusal})`;
}

function whyDecided<Memory>({ decision, reading }: GuestState<Memory>): string {
  if (decision !== null) return describeReason(decision.reason);
  return reading === null ? 'waits for its first reading' : 'waits for its first decision';
}
