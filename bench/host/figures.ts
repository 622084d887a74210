/** From what was seen of the daemon and of the machines to the host benchmark's figures. It measures nothing itself. */
import type { MachineRecord } from './machines-process.js';
import type { BenchRow } from '../row.js';

/** What the daemon holds. */
export interface MemoryUse {
  readonly rssKib: number;
  /** Resident memory, with what is shared with other processes counted by its part. */
  readonly pssKib: number;
  /** Memory of the process alone that no file stands behind. */
  readonly privateKib: number;
  /** The highest resident memory since its start. */
  readonly rssPeakKib: number;
}

export interface Seen {
  readonly measuredMs: number;
  /** User and system time of all the daemon's threads meanwhile. */
  readonly cpuMs: number;
  readonly memory: MemoryUse;
  readonly machines: readonly MachineRecord[];
  /** How many of the machines have all their memory after the daemon has ended. */
  readonly wholeAtEnd: number;
  /** What a client that does nothing but send the same words and take the answers apart needs for one of them, in µs. */
  readonly bareUs: number;
}

/** The daemon's interval, in ms. */
export const INTERVAL_MS = 1_000;
const CPU_GOAL_US = 250;
const RSS_GOAL_MIB = 100;
const LATE_GOAL_MS = 10;
/** So many looks a guest must have had, of those that a round a second makes: fewer is not the work that is to be measured. */
const LOOKS_LEAST_SHARE = 0.5;

/**
 * How late each look was, in ms, in order: the time since the look before it at the same machine, less the interval. Both are taken
 * where they arrive, so that being sent and being served behind others is in it.
 */
export const latenessOf = (machines: readonly MachineRecord[]): readonly number[] =>
  machines
    .flatMap(({ looks }) => looks.slice(1).map((at, before) => at - (looks[before] ?? at) - INTERVAL_MS))
    .sort((a, b) => a - b);

/**
 * How late each look was against an even beat, in ms, in order: the beat has the interval for its length, and begins with whichever of the
 * machine's looks came earliest by it. A delay that grows from look to look, which the time between two looks does not show, is in it.
 */
export const behindTheBeat = (machines: readonly MachineRecord[]): readonly number[] =>
  machines.flatMap(({ looks }) => behindOwnBeat(looks)).sort((a, b) => a - b);

function behindOwnBeat(looks: readonly number[]): readonly number[] {
  const first = looks[0] ?? 0;
  const offBeat = looks.map((at) => at - first - INTERVAL_MS * Math.round((at - first) / INTERVAL_MS));
  const earliest = Math.min(...offBeat);
  return offBeat.map((off) => off - earliest);
}

/** The least of the values that `share` (above 0, up to 1) of all are not above; `sorted` from small to large. NaN where there are none. */
export const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN;

/** What of the work was not done, in words; null: all of it was. A slow machine is no reason. */
export function whatIsMissing({ machines, measuredMs, wholeAtEnd }: Seen): string | null {
  const least = Math.floor((measuredMs * LOOKS_LEAST_SHARE) / INTERVAL_MS);
  const count = (is: (machine: MachineRecord) => boolean): number => machines.filter(is).length;
  const unseen = count(({ looks }) => looks.length < least);
  if (unseen > 0) return `${unseen} of ${machines.length} guests had fewer than ${least} looks`;
  const untouched = count(({ targets }) => targets === 0);
  if (untouched > 0) return `${untouched} of ${machines.length} guests were never given a target`;
  const small = machines.length - wholeAtEnd;
  return small > 0 ? `${small} of ${machines.length} guests were not given everything back at the end` : null;
}

/** The table. */
export function rowsOf({ measuredMs, cpuMs, memory, machines, bareUs }: Seen): readonly BenchRow[] {
  const [lateness, behind] = [latenessOf(machines), behindTheBeat(machines)];
  const looks = machines.map((machine) => machine.looks.length);
  const allLooks = sum(looks);
  const rounds = measuredMs / INTERVAL_MS;
  const row = (name: string, unit: string, value: number, goal: number | null = null): BenchRow => ({
    name,
    unit,
    value,
    goal,
  });
  return [
    row('CPU for one guest and round', 'µs', (cpuMs * 1_000) / allLooks, CPU_GOAL_US),
    row('of that a bare client would need, for the words alone', 'µs', bareUs),
    row('CPU for all of them', '%', (cpuMs * 100) / measuredMs),
    row('resident memory of the daemon', 'MiB', memory.rssKib / 1_024, RSS_GOAL_MIB),
    row('the same with what is shared counted by its part', 'MiB', memory.pssKib / 1_024),
    row('private and not backed by a file', 'MiB', memory.privateKib / 1_024),
    row('the highest resident memory since its start', 'MiB', memory.rssPeakKib / 1_024),
    row('how late a look is: median', 'ms', quantile(lateness, 0.5)),
    row('how late a look is: p99', 'ms', quantile(lateness, 0.99), LATE_GOAL_MS),
    row('how late a look is: the latest', 'ms', quantile(lateness, 1)),
    row('behind an even beat: median', 'ms', quantile(behind, 0.5)),
    row('behind an even beat: p99', 'ms', quantile(behind, 0.99)),
    row('behind an even beat: the most', 'ms', quantile(behind, 1)),
    row('looks at a guest for each interval, the fewest', '', Math.min(...looks) / rounds),
    row('looks at a guest for each interval, the most', '', Math.max(...looks) / rounds),
    row('targets set for each look', '', sum(machines.map(({ targets }) => targets)) / allLooks),
  ];
}

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);
