/**
 * The journal's records: every event and every decision, as lines of JSON, and how to decide again from them. A `start` record
 * holds the whole state, so that a journal can be replayed from any file of a rotated set. It does not know about files.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Millis } from '../units.js';
import type { Action, GuestDecision } from './actions.js';
import type { Event } from './events.js';
import type { GuestState } from './guest.js';
import type { ControlState, Step } from './step.js';

/** Raised whenever the meaning of a record changes; a journal of another format is not replayed. */
export const JOURNAL_FORMAT = 1;

export interface StartRecord {
  readonly kind: 'start';
  readonly format: number;
  readonly policy: string;
  readonly at: Millis;
  readonly state: unknown;
}

export interface StepRecord {
  readonly kind: 'step';
  readonly at: Millis;
  readonly events: readonly Event[];
  readonly actions: readonly Action[];
  readonly decisions: readonly GuestDecision[];
  readonly wakeAt: Millis | null;
}

export type JournalRecord = StartRecord | StepRecord;

/** Where the loop puts its records. Never throws: a full disk must not stop the loop. */
export interface Journal {
  /** `start` makes the record from which a new file can be replayed; it is called only when one is begun. */
  record(step: StepRecord, start: () => StartRecord): void;
  close(): void;
}

/** The state as JSON data: the guests' map becomes a list. */
export function encodeState<Memory>(state: ControlState<Memory>): unknown {
  return { ...state, guests: [...state.guests.values()] };
}

/** The state back from JSON data that `encodeState` made. What it holds is trusted: a journal is the daemon's own. */
export function decodeState<Memory>(encoded: unknown): ControlState<Memory> {
  const state = encoded as Omit<ControlState<Memory>, 'guests'> & { readonly guests: readonly GuestState<Memory>[] };
  return { ...state, guests: new Map(state.guests.map((guest) => [guest.guest.id, guest])) };
}

export interface Difference {
  readonly at: Millis;
  readonly recorded: unknown;
  readonly decided: unknown;
}

export interface Replay {
  /** Takes the next record. A step before the first start cannot be replayed and is counted as skipped. */
  take(record: JournalRecord): Difference | null;
  readonly counts: { readonly steps: number; readonly decisions: number; readonly skipped: number };
}

/** Decides again, record by record. After a difference it goes on from its own state. */
export function createReplay<Memory>(step: Step<Memory>): Replay {
  const counts = { steps: 0, decisions: 0, skipped: 0 };
  let state: ControlState<Memory> | null = null;
  return {
    counts,
    take(record) {
      if (record.kind === 'start') {
        state = decodeState<Memory>(record.state);
        return null;
      }
      if (state === null) {
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
  return isDeepStrictEqual(recorded, decided) ? null : { at: record.at, recorded, decided };
}

/** As JSON data, as it would stand in the journal. */
function outcomeOf(outcome: Pick<StepRecord, 'actions' | 'decisions' | 'wakeAt'>): unknown {
  const { actions, decisions, wakeAt } = outcome;
  return JSON.parse(JSON.stringify({ actions, decisions, wakeAt })) as unknown;
}
