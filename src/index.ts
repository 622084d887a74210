/** selfballoon as a library: the pure core, the policies, the balloon driver, the parsers and the loop. */
export * from './units.js';
export * from './errors.js';
export * from './control/index.js';
export * from './policies/index.js';
export * as balloon from './balloon/index.js';
export * as signals from './signals/index.js';
export { loadConfig, type Config, type LoadedConfig } from './config/index.js';
export { Loop, type LoopParts } from './runtime/loop.js';
export type { CommandAnswer, Commands } from './runtime/commands.js';
export type { GrowthFailure, GrowthFailures } from './runtime/growth-trouble.js';
export type { GuestPhase, GuestRow, ReadModel, Snapshot } from './runtime/read-model.js';
export { openJournalFile, type JournalFileOptions } from './runtime/journal-file.js';
export { RealClock } from './runtime/real-clock.js';
