/** The policies there are, by name. A rule is one file; this is where it is made known. */
import { selfPolicy } from './self-policy.js';

export { damp, floorPages, selfballoonStep } from './selfballoon.js';
export type { SelfballoonInputs, SelfballoonStep, SelfballoonTunables } from './selfballoon.js';
export { SELFSHRINK_START, selfshrinkStep } from './selfshrink.js';
export type { SelfshrinkMemory, SelfshrinkStep, SelfshrinkTunables } from './selfshrink.js';
export { reservedPages, scheduledBy, selfPolicy } from './self-policy.js';

export const POLICIES = { selfballoon: selfPolicy } as const;
