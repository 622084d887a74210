/** The configuration as a table, for the reference page: one row for each key, in the order of the schema. */
import { KEYS } from './keys.js';

export interface ConfigKeyRow {
  /** As in the file: `tunables.selfballoon_interval`. */
  readonly key: string;
  /** What it takes, in words. */
  readonly allowed: string;
  /** The default as it would be written, or in words. */
  readonly default: string;
  /** The environment variable that sets it; null = it can be set in the file (or by a flag) only. */
  readonly env: string | null;
  readonly description: string;
}

/** Every key of the configuration. Made from the schema; nothing is written twice. */
export const CONFIG_KEYS: readonly ConfigKeyRow[] = KEYS.map(({ name, allowed, fallback, env, description }) => ({
  key: name,
  allowed,
  default: fallback,
  env,
  description,
}));
