/** For tests of programs that use selfballoon: a simulated host behind the same port as the real ones, on a virtual clock. */
export { createEmbeddedHypervisor, type EmbeddedOptions } from './hypervisors/embedded/embedded.js';
export { embeddedHost, manyGuests, SimHost, VirtualClock } from './sim/index.js';
