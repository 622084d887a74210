/**
 * Checks assignments against the keys and says in full what is wrong with each: where, which key, what was given, what is
 * allowed. It decides nothing about which of several assignments of one key counts.
 */
import { SelfballoonError } from '../errors.js';
import { describeSource, printable, type Assignment } from './assignment.js';
import { ENV_PREFIX, findKey, GUEST, isSection, KEYS, namesIn, pathText, type Key } from './keys.js';
import { nearestOf } from './nearest.js';
import { OPENED_SECTION } from './toml.js';

/** As many as a person will correct before trying again. */
const PROBLEMS_MAX = 20;
/** As long as the ids of guests may be. */
const GUEST_NAME_LENGTH_MAX = 255;

/** Everything that is wrong with the assignments. What is wrong in the same way in many places of one source is told once. */
export function problemsOf(assignments: readonly Assignment[]): readonly string[] {
  const problems = new Map<string, string>();
  for (const assignment of assignments) {
    const what = wrongWith(assignment);
    const same = `${assignment.source.kind} ${what ?? ''}`;
    if (what !== null && !problems.has(same)) problems.set(same, `${describeSource(assignment.source)}: ${what}`);
  }
  return [...problems.values()];
}

function wrongWith({ path, value, shown }: Assignment): string | null {
  if (path[0] === GUEST && path.length > 1) {
    const length = path[1]?.length ?? 0;
    if (length === 0 || length > GUEST_NAME_LENGTH_MAX) {
      return `${GUEST}: a guest's name has from 1 to ${GUEST_NAME_LENGTH_MAX} characters, not ${length}`;
    }
  }
  const name = printable(pathText(path));
  const key = findKey(path);
  if (key !== null && value !== OPENED_SECTION) {
    if (!key.accepts(value)) return `${name} is ${shown}; allowed: ${key.allowed}${defaultAdvice(key, value)}`;
    const twice = repeatedIn(value);
    return twice === null ? null : `${name} has ${twice} twice; allowed: ${key.allowed}`;
  }
  if (!isSection(path)) return strayFrom(path, value === OPENED_SECTION);
  return value === OPENED_SECTION ? null : `${name} is ${shown}; allowed: a section, [${name}]`;
}

/** A default may be what cannot be written: whoever writes it means what leaving it out does. */
const defaultAdvice = ({ fallback }: Key, value: unknown): string =>
  String(value) === fallback ? `; leave it out: ${fallback} is its default` : '';

/** What a list has more than once, fit to be printed; null where the value has nothing twice or is no list. */
function repeatedIn(value: unknown): string | null {
  if (!Array.isArray(value)) return null;
  const items: readonly unknown[] = value;
  const twice = items.find((item, index) => typeof item === 'string' && items.indexOf(item) !== index);
  return typeof twice === 'string' ? printable(JSON.stringify(twice)) : null;
}

/** What is wrong with a path that leads nowhere: the first part of it that is not known. */
function strayFrom(path: readonly string[], opensSection: boolean): string {
  let depth = 0;
  while (isSection(path.slice(0, depth + 1))) depth += 1;
  const stray = path.slice(0, depth + 1);
  const name = printable(pathText(stray));
  const key = findKey(stray);
  if (key !== null) return `${name} is not a section; allowed: ${key.allowed}`;
  const what = stray.length < path.length || opensSection ? 'section' : 'key';
  return `there is no ${what} ${name}; ${suggestion(path, depth)}`;
}

/** What may have been meant by the part of the path at `depth`, or what there is instead. */
function suggestion(path: readonly string[], depth: number): string {
  const place = path.slice(0, depth);
  const names = namesIn(place);
  const near = nearestOf(path[depth] ?? '', names);
  const meant = near === null ? elsewhere(path.at(-1) ?? '') : printable(pathText([...place, near]));
  if (meant !== null) return `did you mean ${meant}?`;
  const where = place.length === 0 ? 'at the top there are' : `in [${printable(pathText(place))}] there are`;
  return `${where} ${names.join(', ')}`;
}

/** The one key of exactly that name in another section. */
function elsewhere(last: string): string | null {
  const found = KEYS.filter(({ path, env }) => env !== null && path.at(-1) === last);
  return found.length === 1 ? (found[0]?.name ?? null) : null;
}

/** What is wrong with an environment variable that sets nothing. */
export function unknownVariable(name: string): string {
  // Without what all of them begin with: it would make every two names alike.
  const own = (variable: string): string => variable.slice(ENV_PREFIX.length);
  const near = nearestOf(
    own(name),
    KEYS.flatMap(({ env }) => (env === null ? [] : own(env))),
  );
  const hint = near === null ? 'unset it' : `did you mean ${ENV_PREFIX}${near}?`;
  return `environment variable ${printable(name)}: there is no such setting; ${hint}`;
}

/** One error for all problems. */
export function configError(problems: readonly string[]): SelfballoonError {
  const shown = problems.slice(0, PROBLEMS_MAX);
  const more = problems.length - shown.length;
  if (more > 0) shown.push(`and ${more} more`);
  const heading = problems.length === 1 ? '' : `the configuration has ${problems.length} problems:\n  `;
  return new SelfballoonError({
    code: 'ECONFIG',
    message: `${heading}${shown.join('\n  ')}`,
    advice: 'Every key is described in docs/reference/configuration.md',
  });
}
