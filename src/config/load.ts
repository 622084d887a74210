/**
 * Loads the configuration. What counts most comes last: defaults, then the file, then environment variables, then flags. All
 * that was given is checked, also what is overridden, and all problems are told at once.
 */
import type { GuestLimits } from '../control/limits.js';
import { describeSource, type Assignment, type Source } from './assignment.js';
import { guestLimitsOf, makeConfig, type Config } from './config.js';
import { DEFAULT_CONFIG_FILE, readConfigFile } from './file.js';
import { findKey, GUEST, KEYS, pathText } from './keys.js';
import { configError, problemsOf, unknownVariable } from './problems.js';
import { readEnvironment, readFlags } from './text-sources.js';
import { OPENED_SECTION } from './toml.js';

export interface ConfigSources {
  /** The file to read; null = `/etc/selfballoon.toml`, if it is there. */
  readonly file: string | null;
  /** Environment variables; only those that begin with `SELFBALLOON_` are looked at. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Values from the command line, nested and named as in the file. Text is converted as in environment variables. */
  readonly flags: Readonly<Record<string, unknown>>;
  /** The file that need not be there; null: none. Default `/etc/selfballoon.toml`. */
  readonly defaultFile?: string | null;
}

/** A configuration, and where it comes from. */
export interface LoadedConfig {
  readonly config: Config;
  /** For every key by its name (`tunables.selfballoon_interval`), where its value comes from. */
  readonly sources: ReadonlyMap<string, Source>;
}

type ByName = ReadonlyMap<string, Assignment>;

/** Loads and checks the configuration. Throws `SelfballoonError` `ECONFIG`, whose message lists every problem (20 at most). */
export async function loadConfig(from: ConfigSources): Promise<LoadedConfig> {
  const { defaultFile = DEFAULT_CONFIG_FILE } = from;
  const path = from.file ?? defaultFile;
  const file = path === null ? [] : await readConfigFile({ path, isNamed: from.file !== null });
  const environment = readEnvironment(from.env);
  const all = [...file, ...environment.assignments, ...readFlags(from.flags)];
  const problems = [...problemsOf(all), ...environment.unknown.map(unknownVariable)];
  if (problems.length > 0) throw configError(problems);

  const last: ByName = new Map(all.filter(isValue).map((one) => [pathText(one.path), one]));
  const contradictions = guestNames(last).flatMap((guest) => contradictionOf(last, guest) ?? []);
  if (contradictions.length > 0) throw configError(contradictions);
  const config = makeConfig(writtenOf(last), limitsOf(last));
  const impossible = impossibleTrigger(last, config);
  if (impossible !== null) throw configError([impossible]);
  return { config, sources: sourcesOf(last) };
}

/** A stall longer than the window that it is to happen in. One of the two may be a default. */
function impossibleTrigger(last: ByName, config: Config): string | null {
  const { stall, window } = config.pressure.trigger;
  const given = last.get('pressure.stall_ms') ?? last.get('pressure.window_ms');
  if (stall <= window || given === undefined) return null;
  const where = describeSource(given.source);
  return `${where}: pressure.stall_ms is ${stall}, above pressure.window_ms, which is ${window}; allowed: window_ms or less`;
}

const isValue = ({ value }: Assignment): boolean => value !== OPENED_SECTION;
const isOfGuest = ({ path }: Assignment): boolean => path[0] === GUEST;

const guestNames = (last: ByName): readonly string[] => [
  ...new Set([...last.values()].filter(isOfGuest).map(({ path }) => path[1] ?? '')),
];

const ofGuest = (last: ByName, guest: string, key: string): Assignment | null =>
  last.get(pathText([GUEST, guest, key])) ?? null;

const numberOf = (assignment: Assignment | null): number | null =>
  typeof assignment?.value === 'number' ? assignment.value : null;

function contradictionOf(last: ByName, guest: string): string | null {
  const least = ofGuest(last, guest, 'min_mib');
  const most = ofGuest(last, guest, 'max_mib');
  const [min, max] = [numberOf(least), numberOf(most)];
  if (most === null || min === null || max === null || min <= max) return null;
  const name = pathText([GUEST, guest, 'max_mib']);
  return `${describeSource(most.source)}: ${name} is ${max}, below min_mib, which is ${min}; allowed: min_mib or more`;
}

function limitsOf(last: ByName): ReadonlyMap<string, GuestLimits> {
  const limits = (guest: string): GuestLimits =>
    guestLimitsOf(numberOf(ofGuest(last, guest, 'min_mib')), numberOf(ofGuest(last, guest, 'max_mib')));
  return new Map(guestNames(last).map((guest) => [guest, limits(guest)]));
}

/** Nests the values as the schema has them: at the top, or one section deep. */
function writtenOf(last: ByName): Readonly<Record<string, unknown>> {
  const top = new Map<string, unknown>();
  const sections = new Map<string, Map<string, unknown>>();
  for (const assignment of last.values()) {
    const [first = '', second] = assignment.path;
    if (isOfGuest(assignment)) continue;
    if (second === undefined) top.set(first, assignment.value);
    else sections.set(first, (sections.get(first) ?? new Map<string, unknown>()).set(second, assignment.value));
  }
  for (const [name, section] of sections) top.set(name, Object.fromEntries(section));
  return Object.fromEntries(top);
}

function sourcesOf(last: ByName): ReadonlyMap<string, Source> {
  const defaults = KEYS.filter((key) => key.path[0] !== GUEST).map(({ name }): [string, Source] => [
    name,
    { kind: 'default' },
  ]);
  const given = [...last].filter(([, { path }]) => findKey(path) !== null);
  return new Map([...defaults, ...given.map(([name, { source }]): [string, Source] => [name, source])]);
}
