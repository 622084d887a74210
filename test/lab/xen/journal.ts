/** A journal that was fetched out of a guest of the lab, as the tests look at it. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { replayJournal } from '../../../src/cli/commands/replay.js';
import type { Action, GuestDecision } from '../../../src/control/actions.js';
import type { Event } from '../../../src/control/events.js';
import type { JournalRecord, StartRecord, StepRecord } from '../../../src/control/journal.js';
import type { GuestId, Reading } from '../../../src/control/reading.js';
import type { Signal } from '../../../src/control/signal.js';
import type { StepInputs } from './specification.js';

/** What a daemon wrote from one start to the next. */
export interface Run {
  readonly start: StartRecord;
  readonly steps: readonly StepRecord[];
}

/** The runs in a journal's text. A line that a kill cut short is left out. */
export function runsIn(journal: string): readonly Run[] {
  const runs: { start: StartRecord; steps: StepRecord[] }[] = [];
  for (const line of journal.split('\n')) {
    const record = parse(line);
    if (record?.kind === 'start') runs.push({ start: record, steps: [] });
    else if (record !== null) runs.at(-1)?.steps.push(record);
  }
  return runs;
}

function parse(line: string): JournalRecord | null {
  try {
    return line === '' ? null : (JSON.parse(line) as JournalRecord);
  } catch {
    return null;
  }
}

/** The last run in it. */
export function lastRun(journal: string): Run {
  const run = runsIn(journal).at(-1);
  assert.ok(run !== undefined, 'the journal has no start');
  return run;
}

export type SetTarget = Extract<Action, { kind: 'set-target' }>;

export const targetsIn = (step: StepRecord): readonly SetTarget[] =>
  step.actions.filter((action) => action.kind === 'set-target');

export const readingsIn = (step: StepRecord): readonly Reading[] =>
  step.events.flatMap((event) => (event.kind === 'reading' ? [event.reading] : []));

/** What of a host's run is about one of its guests, or about no guest. */
export function ofGuest({ start, steps }: Run, guest: GuestId): Run {
  const isIts = (of: object): boolean => !('guest' in of) || of.guest === guest;
  return {
    start,
    steps: steps.map((step) => ({
      ...step,
      events: step.events.filter(isIts),
      actions: step.actions.filter(isIts),
      decisions: step.decisions.filter(isIts),
    })),
  };
}

/** A signal's value. A test looks at guests whose signals are all there. */
export function valueOf(signal: Signal<number>): number {
  assert.ok(signal.known, 'a signal of the guest is not known');
  return signal.value;
}

/** One decision with the reading that it was made on. */
export interface Decided {
  readonly step: StepRecord;
  readonly decision: GuestDecision;
  readonly reading: Reading;
  readonly tunables: Tunables;
}

/** On a busy machine a look may be too old when it is decided about; then nothing is asked for. */
export const isLawful = ({ decision }: Decided): boolean => decision.reason.code !== 'signal-unknown';

export type Tunables = Readonly<Record<string, number | 'auto'>>;

const startTunables = ({ start }: Run): Tunables => (start.state as { readonly tunables: Tunables }).tunables;

function written(tunables: Tunables, event: Event): Tunables {
  if (event.kind !== 'tunable-write' || !event.mayChange || !/^\+?\d+\n?$/.test(event.text)) return tunables;
  return { ...tunables, [event.name]: Number(event.text) };
}

/** Every decision of a run about its one guest, with what it was made on. */
export function decidedIn(run: Run): readonly Decided[] {
  let tunables = startTunables(run);
  let reading: Reading | null = null;
  const all: Decided[] = [];
  for (const step of run.steps) {
    tunables = step.events.reduce(written, tunables);
    reading = readingsIn(step).at(-1) ?? reading;
    for (const decision of step.decisions) {
      assert.ok(reading !== null, 'a decision was made before anything was read');
      all.push({ step, decision, reading, tunables });
    }
  }
  return all;
}

/** What the specification needs, from the reading that stood in the journal. */
export function inputsOf({ reading, tunables }: Decided): StepInputs {
  const tunable = (name: string): number => Number(tunables[name] ?? 0);
  return {
    totalramPages: valueOf(reading.total),
    totalreservePages: valueOf(reading.reserve),
    maxPfn: valueOf(reading.maxPfn),
    committedPages: valueOf(reading.committed),
    balloonCurrentPages: valueOf(reading.current),
    frontswapPages: tunable('frontswap_selfshrinking') === 1 ? valueOf(reading.overflowUsed) : 0,
    downhysteresis: tunable('selfballoon_downhysteresis'),
    uphysteresis: tunable('selfballoon_uphysteresis'),
    minUsableMb: tunable('selfballoon_min_usable_mb'),
    reservedMb: tunables['selfballoon_reserved_mb'] === 'auto' ? 'auto' : tunable('selfballoon_reserved_mb'),
  };
}

/** Replays a journal here, on the host, with the program's own replay. Throws with its words when anything differs. */
export async function assertReplays(journal: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'selfballoon-lab-journal-'));
  try {
    const path = join(folder, 'journal');
    writeFileSync(path, journal);
    const said: string[] = [];
    assert.equal(await replayJournal(path, (line) => said.push(line)), true, said.join('\n'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
