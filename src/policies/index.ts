/** The policies there are. A rule is one file; this is where it is made known, by a name that no other has: journals go by it. */
import { bareHostPolicy, hostPolicy } from './host-policy.js';
import { selfPolicy } from './self-policy.js';

export { damp, floorPages, selfballoonStep } from './selfballoon.js';
export type { SelfballoonInputs, SelfballoonStep, SelfballoonTunables } from './selfballoon.js';
export { SELFSHRINK_START, selfshrinkStep } from './selfshrink.js';
export type { SelfshrinkMemory, SelfshrinkStep, SelfshrinkTunables } from './selfshrink.js';
export { reservedPages, scheduledBy, selfPolicy } from './self-policy.js';

export { bareHostPolicy, hostPolicy, type HostMemory } from './host-policy.js';
export { CACHE_START, guardCache, type CacheMemory, type WithCacheMemory } from './cache-guard.js';
export { preferredPages, usedMemoryWish, type UsedMemoryTunables } from './used-memory.js';

/** Every policy, under the name that it has in journals. */
export const POLICIES = { selfballoon: selfPolicy, host: hostPolicy, 'host-bare': bareHostPolicy } as const;

/** The policy of that name, or null where there is none. */
export const findPolicy = (name: string): typeof selfPolicy | null =>
  Object.values(POLICIES).find((policy) => policy.name === name) ?? null;
