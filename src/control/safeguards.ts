/**
 * What stands between a policy's wish and a guest, gathered in one place. Each is a function of its own elsewhere; this file
 * decides only which there are.
 */
import type { Millis, Pages } from '../units.js';
import { believable } from './believe.js';
import { limitTarget, type Limited, type LimitQuestion } from './limits.js';
import { grantGrowth, type PoolView } from './pool.js';
import type { Reading } from './reading.js';
import { beginRelief, type Relief } from './relief.js';

/**
 * One object that the step is given: so that a test can take one away and
 * show what happens to a guest without it. The product has all of them, always.
 */
export interface Safeguards {
  readonly believe: (reading: Reading, now: Millis, ageMax: Millis) => Reading;
  readonly limit: (question: LimitQuestion) => Limited;
  /** The size that a guest of a host's shared memory may be told to have. */
  readonly grant: (wanted: Pages, held: Pages, view: PoolView) => Pages;
  /** What an alarm leads to; null = nothing. */
  readonly relieve: (before: Relief | null, now: Millis) => Relief | null;
}

/** The safeguards of the product, all of them. `createStep` takes others for tests that leave one out. */
export const SAFEGUARDS: Safeguards = {
  believe: believable,
  limit: limitTarget,
  grant: grantGrowth,
  relieve: beginRelief,
};
