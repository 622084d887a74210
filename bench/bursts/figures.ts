/** From what was seen of bursts to the benchmark's figures. It measures nothing itself. */
import { quantile } from '../host/figures.js';
import type { BenchRow } from '../row.js';
import type { Setting } from './settings.js';

/** One burst, by the host's clock. Times are ms since the demand began. */
export interface Burst {
  /** What was available in the guest before, in MiB. */
  readonly availableMib: number;
  /** When somebody in the guest first waited for memory; null = nobody did. */
  readonly stallAt: number | null;
  /** When the daemon heard an alarm from inside the guest, by its journal, and of what; null = it heard none. */
  readonly told: { readonly at: number; readonly cause: string } | null;
  /** When the command that lets the guest grow went over the wire; null = none did. */
  readonly commandAt: number | null;
  /** When all of it was there; null = whoever took it was killed. */
  readonly heldAt: number | null;
  /** How many processes the guest's kernel killed. */
  readonly kills: number;
  /** The times of the guest may be wrong by so much, either way, in ms. */
  readonly uncertaintyMs: number;
}

/** Whether the command came before anybody had to wait, or without anybody having to. */
const isForeseen = ({ stallAt, commandAt }: Burst): boolean =>
  commandAt !== null && (stallAt === null || commandAt <= stallAt);

/**
 * From the guest's stall to the command, in ms: 0 where the command was first, `Infinity` where there was none. A burst that neither made
 * anybody wait nor was answered has no latency: null.
 */
export function latencyOf(burst: Burst): number | null {
  const { stallAt, commandAt } = burst;
  if (isForeseen(burst)) return 0;
  if (stallAt === null) return null;
  return commandAt === null ? Number.POSITIVE_INFINITY : commandAt - stallAt;
}

/** Of all bursts that have one, from the shortest to the longest. */
export const latenciesOf = (bursts: readonly Burst[]): readonly number[] =>
  sorted(bursts.map(latencyOf).filter((latency) => latency !== null));

/** What makes the figures mean nothing, in words; null: nothing. A goal that is missed is no reason. */
export function whatIsWrong(bursts: readonly Burst[]): string | null {
  const idle = bursts.filter((burst) => latencyOf(burst) === null).length;
  if (idle > 0) return `${idle} of ${bursts.length} bursts needed nothing: nobody waited, and nothing was asked for`;
  const unanswered = bursts.filter(({ commandAt }) => commandAt === null).length;
  return unanswered > 0 ? `${unanswered} of ${bursts.length} bursts were not answered at all` : null;
}

/** The table of one setting. */
export function rowsOf({ words, goals, hasAgent }: Setting, bursts: readonly Burst[]): readonly BenchRow[] {
  const latencies = latenciesOf(bursts);
  const row = (name: string, unit: string, value: number, goal: number | null = null): BenchRow => ({
    name: `${words}: ${name}`,
    unit,
    value,
    goal,
  });
  const middle = (of: (burst: Burst) => number | null): number =>
    quantile(sorted(bursts.map(of).filter((value) => value !== null)), 0.5);
  return [
    row('stall to command, median', 'ms', quantile(latencies, 0.5), goals.p50),
    row('stall to command, p99', 'ms', quantile(latencies, 0.99), goals.p99),
    row('stall to command, longest', 'ms', quantile(latencies, 1)),
    row('bursts', '', bursts.length),
    row('of these, command before the stall', '', bursts.filter(isForeseen).length),
    row(
      'demand to stall, median',
      'ms',
      middle(({ stallAt }) => stallAt),
    ),
    row(
      'demand to command, median',
      'ms',
      middle(({ commandAt }) => commandAt),
    ),
    ...(hasAgent ? [row('alarm heard to command, median', 'ms', middle(toldToCommand))] : []),
    row(
      'demand met after, median',
      'ms',
      middle(({ heldAt }) => heldAt),
    ),
    row(
      'killed processes',
      '',
      bursts.reduce((all, { kills }) => all + kills, 0),
      0,
    ),
    row(
      'available before, median',
      'MiB',
      middle(({ availableMib }) => availableMib),
    ),
    row('the clocks may differ by, at most', 'ms', Math.max(...bursts.map(({ uncertaintyMs }) => uncertaintyMs))),
  ];
}

const toldToCommand = ({ told, commandAt }: Burst): number | null =>
  told === null || commandAt === null || commandAt < told.at ? null : commandAt - told.at;

const sorted = (values: readonly number[]): readonly number[] => [...values].sort((a, b) => a - b);
