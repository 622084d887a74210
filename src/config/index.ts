/** The configuration's public face. */
export { describeSource, type Source } from './assignment.js';
export type { Config, HypervisorChoice, LogFormat, LogLevel, PressureTrigger, XenSight } from './config.js';
export { CONFIG_KEYS, type ConfigKeyRow } from './describe.js';
export { DEFAULT_CONFIG_FILE } from './file.js';
export { loadConfig, type ConfigSources, type LoadedConfig } from './load.js';
export { CONFIG_SCHEMA } from './schema.js';
