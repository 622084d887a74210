/** When a guest was called stuck, against the last time that it was on its way: read off a journal, independent of the program. */
import type { StepRecord } from '../../../src/control/journal.js';
import { targetsIn, type Run, type SetTarget } from './journal.js';

/** One word of it. Times in milliseconds. */
export interface Stuck {
  /** After the guest was last seen to have come nearer to what it was asked for, or was asked while it was at rest. */
  readonly afterMs: number;
  /** The same of the look before the one that told. */
  readonly lookBeforeMs: number;
}

/** A guest stops up to a few pages from its target. */
const NEAR_PAGES = 4;

interface Way {
  /** Of the request that stands; an earlier one may have been overtaken by it and fail for that. */
  readonly id: number;
  readonly target: number | null;
  readonly size: number;
  /** The least since it was asked: one that goes away from its target and comes back has not come nearer. */
  readonly distance: number;
  /** Since when it has not come nearer. */
  readonly since: number;
  readonly looks: readonly [before: number, last: number];
}

const atRest = ({ distance }: Way): boolean => distance <= NEAR_PAGES;

/** Every time in `run` that the guest was called stuck, oldest first. */
export function stuckTellsOf(run: Run, guest: string): readonly Stuck[] {
  let way: Way = { id: NaN, target: null, size: 0, distance: 0, since: 0, looks: [0, 0] };
  const told: Stuck[] = [];
  for (const step of run.steps) {
    // One that failed was never asked: the guest has its time from the next request on.
    if (hasFailed(step, guest, way.id)) way = { ...way, target: null, distance: 0 };
    way = sizesIn(step, guest).reduce((before, size) => looked(before, size, step.at), way);
    if (step.actions.some((action) => action.kind === 'tell' && action.code === 'stuck' && action.guest === guest))
      told.push({ afterMs: way.looks[1] - way.since, lookBeforeMs: way.looks[0] - way.since });
    way = targetsIn(step)
      .filter((action) => action.guest === guest)
      .reduce((before, request) => asked(before, request, step.at), way);
  }
  return told;
}

const hasFailed = ({ events }: StepRecord, guest: string, id: number): boolean =>
  events.some((event) => event.kind === 'action-failed' && event.guest === guest && event.id === id);

const sizesIn = (step: StepRecord, guest: string): readonly number[] =>
  step.events.flatMap((event) =>
    event.kind === 'reading' && event.guest === guest && event.reading.current.known
      ? [event.reading.current.value]
      : [],
  );

function looked(before: Way, size: number, at: number): Way {
  const distance = before.target === null ? 0 : Math.abs(before.target - size);
  const isNearer = distance < before.distance || distance <= NEAR_PAGES || atRest(before);
  const looks: Way['looks'] = [before.looks[1], at];
  return isNearer ? { ...before, size, distance, since: at, looks } : { ...before, size, looks };
}

/** A guest that was at rest is given its time from the new request on; one that was on its way has begun it already. */
function asked(before: Way, { id, target }: SetTarget, at: number): Way {
  return { ...before, id, target, since: atRest(before) ? at : before.since, distance: Math.abs(target - before.size) };
}
