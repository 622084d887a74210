/** The simulator's public face. */
export { GuestKernel, ownPagesOf, type GuestKernelOptions } from './guest-kernel.js';
export { PLUG_BLOCK, PluggedMemory } from './plugged-memory.js';
export { SimHost, type SimGuest, type SimGuestOptions, type SimHostOptions } from './host.js';
export { HostMemory, type Evictable } from './host-memory.js';
export { createRandomStream, type RandomStream } from './random.js';
export { keepPace } from './pace.js';
export { embeddedHost, manyGuests, type EmbeddedHostOptions } from './scenario.js';
export { EphemeralPool, PersistentPool } from './tmem.js';
export { VirtualClock } from './virtual-clock.js';
export { watermarksFor, type Watermarks } from './watermarks.js';
export { noDemand, type Demand, type Workload, type WorkloadFactory } from './workload.js';
export { LIVES, type LifeName } from './workloads/index.js';
