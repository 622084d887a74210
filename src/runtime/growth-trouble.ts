/**
 * What a person is shown of a guest that does not follow where memory is plugged in or out. The log tells of it when it begins; each later
 * try changes only what stands here. It decides nothing.
 */
import { nearestMib } from '../control/describe.js';
import type { Rest } from '../control/growth.js';
import type { GuestState } from '../control/guest-state.js';
import { knownValue } from '../control/signal.js';
import type { Millis } from '../units.js';

/** Requests of one direction that came to nothing. */
export interface GrowthFailure {
  /** How many, one after another. */
  readonly count: number;
  /** Before that there is no other; null = there is none any more, until what is plugged in changes. */
  readonly retryAtMs: number | null;
}

/** Null = the last one came to something, or there was none. */
export interface GrowthFailures {
  readonly up: GrowthFailure | null;
  readonly down: GrowthFailure | null;
}

type Seen = Pick<GuestState<unknown>, 'growth' | 'reading'>;

/** Null = it cannot grow. */
export function growthFailuresOf({ growth }: Seen): GrowthFailures | null {
  return growth === null ? null : { up: failureOf(growth.up), down: failureOf(growth.down) };
}

const failureOf = (rest: Rest | null): GrowthFailure | null =>
  rest === null ? null : { count: rest.times, retryAtMs: rest.until };

/** In sentences without a full stop; none where all is well. */
export function describeGrowthTrouble(state: Seen, now: Millis): readonly string[] {
  const offline = knownValue(state.reading?.growth?.offline) ?? 0;
  const { up = null, down = null } = growthFailuresOf(state) ?? {};
  return [
    ...(offline > 0 ? [`${nearestMib(offline)} MiB that are plugged in are offline`] : []),
    ...(up === null ? [] : [`did not use what was plugged in (${describeTries(up, now)})`]),
    ...(down === null ? [] : [`did not give up what is plugged in (${describeTries(down, now)})`]),
  ];
}

function describeTries({ count, retryAtMs }: GrowthFailure, now: Millis): string {
  const tries = count === 1 ? '1 try' : `${count} tries`;
  if (retryAtMs === null) return `${tries}, no more`;
  return retryAtMs <= now ? tries : `${tries}, next in ${Math.ceil((retryAtMs - now) / MINUTE)} min at the earliest`;
}

const MINUTE = 60_000;
