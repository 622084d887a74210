/** Environment variables and command-line flags → assignments. Text becomes a number, a switch or a list as its key has it. */
import { printable, type Assignment, type Source } from './assignment.js';
import { ENV_PREFIX, findKey, findKeyByEnv, type Key } from './keys.js';

/** Variables with this beginning belong to the tests. */
const TEST_PREFIX = 'SELFBALLOON_TEST_';
/** How deep flags may be nested: section, guest, key. */
const DEPTH_MAX = 4;

export interface FromEnvironment {
  readonly assignments: readonly Assignment[];
  /** Variables with our beginning that set nothing. */
  readonly unknown: readonly string[];
}

/** What the environment assigns. */
export function readEnvironment(env: Readonly<Record<string, string | undefined>>): FromEnvironment {
  const assignments: Assignment[] = [];
  const unknown: string[] = [];
  for (const [name, text] of Object.entries(env)) {
    if (text === undefined || !name.startsWith(ENV_PREFIX) || name.startsWith(TEST_PREFIX)) continue;
    const key = findKeyByEnv(name);
    if (key === null) unknown.push(name);
    else assignments.push(fromText(key, key.path, text, { kind: 'env', name }));
  }
  return { assignments, unknown };
}

function fromText(key: Key, path: readonly string[], text: string, source: Source): Assignment {
  return { path, value: valueOf(key, text), shown: printable(JSON.stringify(text)), source };
}

/** Text that does not fit its key's kind stays text, so that the check that follows refuses it and can show it. */
function valueOf({ kind }: Key, text: string): unknown {
  switch (kind) {
    case 'text':
      return text;
    case 'number':
      return /^[+-]?[0-9]+(\.[0-9]+)?$/.test(text) ? Number(text) : text;
    case 'switch':
      return switchOf(text);
    case 'list':
      return text === '' ? [] : text.split(',');
  }
}

function switchOf(text: string): boolean | string {
  if (text === 'true' || text === '1') return true;
  if (text === 'false' || text === '0') return false;
  return text;
}

/** What command-line flags assign. Nested like the file; `undefined` is a flag that was not given. */
export function readFlags(flags: Readonly<Record<string, unknown>>): readonly Assignment[] {
  return [...walkFlags(flags, [])];
}

function* walkFlags(flags: Readonly<Record<string, unknown>>, above: readonly string[]): Generator<Assignment> {
  for (const [name, value] of Object.entries(flags)) {
    const path = [...above, name];
    const key = findKey(path);
    const source: Source = { kind: 'flag' };
    if (value === undefined) continue;
    if (key !== null && typeof value === 'string') yield fromText(key, path, value, source);
    else if (key === null && isNested(value) && path.length < DEPTH_MAX) yield* walkFlags(value, path);
    else yield { path, value, shown: printable(shownValue(value)), source };
  }
}

const isNested = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const shownValue = (value: unknown): string =>
  typeof value === 'string' || Array.isArray(value) ? JSON.stringify(value) : String(value);
