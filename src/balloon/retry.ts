/**
 * The retry rule: how the outcome of one round of the worker changes when the next attempt is made. It counts attempts and
 * doubles the delay; it has no clock and does not know what failed.
 *
 * Source: specification 2, "Retry rule".
 */

/**
 * How a round of the worker ended.
 * - `done`: as far as was possible at once
 * - `wait`: memory was added, and its coming online will run the worker
 * - `again`: not all could be done; the worker comes back after the delay
 * - `cancelled`: it cannot be done, or was tried too often; nothing happens until someone asks anew
 */
export type WorkerOutcome = 'done' | 'wait' | 'again' | 'cancelled';

/** How often a driver has tried in a row, and when it tries next. */
export interface RetryState {
  /** Seconds until the next attempt, should this one fail. */
  readonly scheduleDelay: number;
  /** Longest delay, in seconds. */
  readonly maxScheduleDelay: number;
  readonly retryCount: number;
  /** 0 = without limit. */
  readonly maxRetryCount: number;
}

/** Feeds one outcome to the rule; the outcome becomes `cancelled` when the limit of attempts is passed. */
export function updateSchedule(
  state: RetryState,
  outcome: WorkerOutcome,
): { readonly state: RetryState; readonly outcome: WorkerOutcome } {
  if (outcome === 'wait' || outcome === 'cancelled') return { state, outcome };
  if (outcome === 'done') return { state: afresh(state), outcome };
  const retryCount = state.retryCount + 1;
  if (state.maxRetryCount !== 0 && retryCount > state.maxRetryCount) {
    return { state: afresh(state), outcome: 'cancelled' };
  }
  const scheduleDelay = Math.min(state.scheduleDelay * 2, state.maxScheduleDelay);
  return { state: { ...state, retryCount, scheduleDelay }, outcome };
}

/** Usually nothing had failed before, and then nothing changes. */
const afresh = (state: RetryState): RetryState =>
  state.scheduleDelay === 1 && state.retryCount === 1 ? state : { ...state, scheduleDelay: 1, retryCount: 1 };
