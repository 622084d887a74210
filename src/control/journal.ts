/**
 * The journal's records: every event and every decision, as lines of JSON, and how to decide again from them. A `start` record
 * holds the whole state, so that a journal can be replayed from any file of a rotated set. It does not know about files.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Millis } from '../units.js';
import type { Action, GuestDecision } from './actions.js';
import type { Event } from './events.js';
import type { GuestState } from './guest-state.js';
import { Roster } from './roster.js';
import type { ControlState, Step } from './step.js';
import type { UnseenHosts } from './unseen-host.js';

/** Raised whenever the meaning of a record changes; a journal of another format is not replayed. */
export const JOURNAL_FORMAT = 2;

/** The first record of each file: the state from which the following steps go on. */
export interface StartRecord {
  readonly kind: 'start';
  readonly format: number;
  readonly policy: string;
  readonly at: Millis;
  /** Names the daemon's run: the starts of one run go on from each other. Left out where nobody named it. */
  readonly run?: string;
  readonly state: unknown;
}

/** One step: what went in, and what came out. */
export interface StepRecord {
  readonly kind: 'step';
  readonly at: Millis;
  readonly events: readonly Event[];
  readonly actions: readonly Action[];
  readonly decisions: readonly GuestDecision[];
  readonly wakeAt: Millis | null;
}

/** A line of the journal. */
export type JournalRecord = StartRecord | StepRecord;

/** Where the loop puts its records. Never throws: a full disk must not stop the loop. */
export interface Journal {
  /** `start` makes the record from which a new file can be replayed; it is called only when one is begun. */
  record(step: StepRecord, start: () => StartRecord): void;
  close(): void;
}

/** The state as JSON data: the guests' map becomes a list. */
export function encodeState<Memory>(state: ControlState<Memory>): unknown {
  return { ...state, guests: state.guests.list };
}

/** The state back from JSON data that `encodeState` made. Its form must have been checked; what it says is trusted. */
export function decodeState<Memory>(encoded: unknown): ControlState<Memory> {
  const state = encoded as Omit<ControlState<Memory>, 'guests' | 'unseenHosts'> & {
    // Records from before there were such things do not have them.
    readonly guests: readonly (Omit<GuestState<Memory>, 'growth'> & Partial<GuestState<Memory>>)[];
    readonly unseenHosts?: UnseenHosts;
  };
  const guests = state.guests.map((guest): GuestState<Memory> => ({ ...guest, growth: guest.growth ?? null }));
  return { ...state, unseenHosts: state.unseenHosts ?? {}, guests: Roster.of(guests) };
}

/** Where a replay decided otherwise. Times are the recorded ones; both sides are JSON data. */
export interface Difference {
  /** `step`: something else is decided. `start`: the steps before lead to another state; only what differs is given. */
  readonly kind: 'step' | 'start';
  readonly at: Millis;
  readonly recorded: unknown;
  readonly decided: unknown;
}

/** A replay under way. It counts what it has taken so far. */
export interface Replay {
  /** Takes the next record. A step before the first start cannot be replayed and is counted as skipped. */
  take(record: JournalRecord): Difference | null;
  readonly counts: { readonly steps: number; readonly decisions: number; readonly skipped: number };
}

/**
 * Decides again, record by record, with the step of the policy that the last start names. After a difference it goes on: from
 * its own state, or from the start that differs.
 */
export function createReplay<Memory>(stepOf: (policy: string) => Step<Memory>): Replay {
  const counts = { steps: 0, decisions: 0, skipped: 0 };
  let state: ControlState<Memory> | null = null;
  let run: string | undefined;
  let step: Step<Memory> | null = null;
  return {
    counts,
    take(record) {
      if (record.kind === 'start') {
        const [before, runBefore] = [state, run];
        state = decodeState<Memory>(record.state);
        run = record.run;
        step = stepOf(record.policy);
        const goesOn = before !== null && run !== undefined && run === runBefore;
        return goesOn ? compareStates(record.at, state, before) : null;
      }
      if (state === null || step === null) {
        counts.skipped += 1;
        return null;
      }
      const again = step(state, record.events, record.at);
      state = again.state;
      counts.steps += 1;
      counts.decisions += record.decisions.length;
      return compare(record, again);
    },
  };
}

function compare<Memory>(record: StepRecord, again: ReturnType<Step<Memory>>): Difference | null {
  const recorded = outcomeOf(record);
  const decided = outcomeOf(again);
  return isDeepStrictEqual(recorded, decided) ? null : { kind: 'step', at: record.at, recorded, decided };
}

/** Tells only the parts that differ: a state can have a thousand guests. */
function compareStates<Memory>(
  at: Millis,
  recorded: ControlState<Memory>,
  decided: ControlState<Memory>,
): Difference | null {
  const [parts, partsAgain] = [partsOf(recorded), partsOf(decided)];
  const names = new Set([...parts.keys(), ...partsAgain.keys()]);
  const differing = [...names].filter((name) => !isDeepStrictEqual(parts.get(name), partsAgain.get(name)));
  if (differing.length === 0) return null;
  const pick = (from: ReadonlyMap<string, unknown>): unknown =>
    Object.fromEntries(differing.map((name) => [name, from.get(name) ?? null]));
  return { kind: 'start', at, recorded: pick(parts), decided: pick(partsAgain) };
}

/** A state's parts by name, each guest one of them, as JSON data. */
function partsOf<Memory>({ guests, ...rest }: ControlState<Memory>): ReadonlyMap<string, unknown> {
  const ofGuests = guests.list.map((guest) => [`guest ${guest.guest.id}`, guest] as const);
  const parts: readonly (readonly [string, unknown])[] = [...Object.entries(rest), ...ofGuests];
  return new Map(parts.map(([name, part]) => [name, JSON.parse(JSON.stringify(part)) as unknown]));
}

/** As JSON data, as it would stand in the journal. */
function outcomeOf(outcome: Pick<StepRecord, 'actions' | 'decisions' | 'wakeAt'>): unknown {
  const { actions, decisions, wakeAt } = outcome;
  return JSON.parse(JSON.stringify({ actions, decisions, wakeAt })) as unknown;
}
