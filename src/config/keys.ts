/**
 * Every key of the configuration as a flat list, read off the schema: its path, its environment variable, what it accepts.
 * The keys of guest sections are patterns, because guests have names that nobody knows beforehand.
 */
import * as v from 'valibot';
import { factsOf, type KeyFacts } from './keyed-schema.js';
import { CONFIG_SCHEMA, GUEST_SECTION } from './schema.js';

export interface Key extends KeyFacts {
  readonly path: readonly string[];
  /** The path as people write it: `tunables.selfballoon_interval`. */
  readonly name: string;
  /** The environment variable that sets it; null where there is none. */
  readonly env: string | null;
  accepts(value: unknown): boolean;
}

export const ENV_PREFIX = 'SELFBALLOON_';
/** The section whose subsections have names of the administrator's choice. */
export const GUEST = 'guest';
/** Stands for a guest's name in the paths of `KEYS`. */
export const ANY_GUEST = 'NAME or ID';

const isSchema = (value: unknown): value is v.GenericSchema =>
  typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'schema';

/** The schema inside `optional`, where it is one. */
function unwrapped(schema: object): object {
  return 'wrapped' in schema && typeof schema.wrapped === 'object' && schema.wrapped !== null ? schema.wrapped : schema;
}

function keysIn(section: object, above: readonly string[]): readonly Key[] {
  if (!('entries' in section) || typeof section.entries !== 'object' || section.entries === null) return [];
  return Object.entries(section.entries).flatMap(([name, schema]: [string, unknown]) => {
    if (!isSchema(schema)) return [];
    const path = [...above, name];
    const facts = factsOf(schema);
    return facts === null ? keysIn(unwrapped(schema), path) : [keyOf(path, schema, facts)];
  });
}

function keyOf(path: readonly string[], schema: v.GenericSchema, facts: KeyFacts): Key {
  return {
    ...facts,
    path,
    name: pathText(path),
    env: path[0] === GUEST ? null : `${ENV_PREFIX}${path.join('_').toUpperCase()}`,
    accepts: (value) => v.is(schema, value),
  };
}

/** A path as it would be written in the file: parts that need quotes have them. */
export function pathText(path: readonly string[]): string {
  return path.map((part) => (/^[A-Za-z0-9_-]+$/.test(part) ? part : JSON.stringify(part))).join('.');
}

/** Every key, in the order of the schema; those of guests last, with `ANY_GUEST` in place of a name. */
export const KEYS: readonly Key[] = [...keysIn(CONFIG_SCHEMA, []), ...keysIn(GUEST_SECTION, [GUEST, ANY_GUEST])];

const BY_NAME = new Map(KEYS.map((key) => [key.name, key]));
const BY_ENV = new Map(KEYS.flatMap((key) => (key.env === null ? [] : [[key.env, key] as const])));

const asPattern = (path: readonly string[]): readonly string[] =>
  path[0] === GUEST && path.length > 1 ? [GUEST, ANY_GUEST, ...path.slice(2)] : path;

/** The key at a path, or null where there is none. */
export const findKey = (path: readonly string[]): Key | null => BY_NAME.get(pathText(asPattern(path))) ?? null;

/** The key that an environment variable sets, or null where there is none. */
export const findKeyByEnv = (name: string): Key | null => BY_ENV.get(name) ?? null;

/** Whether a path names a section: something that keys lie in. */
export function isSection(path: readonly string[]): boolean {
  const pattern = asPattern(path);
  return KEYS.some((key) => key.path.length > pattern.length && pattern.every((part, at) => part === key.path[at]));
}

/** The names of the keys and sections right inside a section (`[]`: at the top), in the order of the schema. */
export function namesIn(section: readonly string[]): readonly string[] {
  const pattern = asPattern(section);
  const inside = KEYS.filter(({ path }) => pattern.every((part, at) => part === path[at]));
  return [...new Set(inside.flatMap(({ path }) => path[pattern.length] ?? []))];
}
