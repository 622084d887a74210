import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { updateSchedule, type RetryState, type WorkerOutcome } from '../../src/balloon/index.js';

const START: RetryState = { scheduleDelay: 1, maxScheduleDelay: 32, retryCount: 1, maxRetryCount: 0 };

function failTimes(start: RetryState, times: number): { readonly state: RetryState; readonly outcome: WorkerOutcome } {
  let result: ReturnType<typeof updateSchedule> = { state: start, outcome: 'done' };
  for (let at = 0; at < times; at += 1) result = updateSchedule(result.state, 'again');
  return result;
}

describe('the retry rule', () => {
  it('doubles the delay up to its limit, for ever when there is no limit of attempts', () => {
    const delays = [1, 2, 3, 4, 5, 6, 1000].map((times) => failTimes(START, times).state.scheduleDelay);
    assert.deepEqual(delays, [2, 4, 8, 16, 32, 32, 32]);
    assert.equal(failTimes(START, 1000).outcome, 'again');
  });

  it('never passes a longest delay that is no power of two', () => {
    assert.equal(failTimes({ ...START, maxScheduleDelay: 20 }, 9).state.scheduleDelay, 20);
  });

  it('gives up once the count is above the limit, and starts afresh', () => {
    const limited = { ...START, maxRetryCount: 3 };
    assert.deepEqual(failTimes(limited, 2), {
      state: { ...limited, scheduleDelay: 4, retryCount: 3 },
      outcome: 'again',
    });
    assert.deepEqual(failTimes(limited, 3), { state: limited, outcome: 'cancelled' });
  });

  it('resets on success, and lets wait and cancelled pass', () => {
    const tired = failTimes(START, 4).state;
    assert.deepEqual(updateSchedule(tired, 'done'), { state: START, outcome: 'done' });
    assert.deepEqual(updateSchedule(tired, 'wait'), { state: tired, outcome: 'wait' });
    assert.deepEqual(updateSchedule(tired, 'cancelled'), { state: tired, outcome: 'cancelled' });
  });
});
