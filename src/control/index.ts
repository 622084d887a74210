/** The core's public face. */
export * from './actions.js';
export * from './boot-options.js';
export * from './describe.js';
export * from './events.js';
export * from './guest.js';
export * from './journal.js';
export * from './limits.js';
export * from './policy.js';
export * from './ports.js';
export * from './pursuit.js';
export * from './reading.js';
export * from './reason.js';
export * from './signal.js';
export * from './roster.js';
export * from './start-up.js';
export * from './step.js';
export * from './tunables.js';
