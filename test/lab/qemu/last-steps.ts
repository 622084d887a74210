/** The end of a journal as a few short lines: what a failed test leaves behind, for its journal goes with its folder. */
import type { GuestDecision } from '../../../src/control/actions.js';
import type { StepRecord } from '../../../src/control/journal.js';
import type { Signal } from '../../../src/control/signal.js';
import { runsIn } from '../xen/journal.js';

const LINES = 60;

/** What was last seen of guests, decided and asked for, in MiB and in seconds since the journal began. */
export function lastSteps(journal: string): readonly string[] {
  const runs = runsIn(journal);
  const begun = runs[0]?.start.at ?? 0;
  return runs.flatMap(({ steps }) => steps.flatMap((step) => linesOf(step, begun))).slice(-LINES);
}

function linesOf(step: StepRecord, begun: number): readonly string[] {
  const second = ((step.at - begun) / 1_000).toFixed(2);
  const words = [
    ...step.events.flatMap((event) => (event.kind === 'reading' ? [seen(event.guest, event.reading)] : [])),
    ...step.decisions.map(decided),
    ...step.actions.flatMap((action) => {
      if (action.kind === 'set-target') return [`${action.guest} asked to hold ${mib(action.target)}`];
      return action.kind === 'set-growth' ? [`${action.guest} asked to have ${mib(action.plugged)} plugged in`] : [];
    }),
  ];
  return words.map((line) => `${second} ${line}`);
}

type Seen = Extract<StepRecord['events'][number], { kind: 'reading' }>['reading'];

function seen(guest: string, { current, total, committed, available, growth }: Seen): string {
  const sizes = Object.entries({ holds: current, total, committed, available, ...growth });
  return `${guest} ${sizes.map(([name, signal]) => `${name} ${size(signal)}`).join(', ')}`;
}

const decided = ({ guest, goal, target, reason }: GuestDecision): string =>
  `${guest} ${reason.code}: goal ${goal === null ? '-' : mib(goal)}, target ${target === null ? '-' : mib(target)}`;

const size = (signal: Signal<number>): string => (signal.known ? String(mib(signal.value)) : signal.reason);
const mib = (count: number): number => Math.round(count / 256);
