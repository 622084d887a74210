/**
 * The kinds of values that a configuration key can hold: for each the schema that checks it, and the facts that people are
 * told about it (what is allowed, the default, what it is for). Both are made at once, so they cannot disagree. It does not
 * know which keys there are.
 */
import * as v from 'valibot';

export interface KeyFacts {
  /** How text (an environment variable, a flag) becomes a value. */
  readonly kind: 'text' | 'number' | 'switch' | 'list';
  /** What is allowed, in words, for messages and the reference page. */
  readonly allowed: string;
  /** The default as it would be written in the file, or in words. */
  readonly fallback: string;
  readonly description: string;
}

const FACTS = new WeakMap<object, KeyFacts>();

/** What is known about a key's schema, or null where the schema is not that of a key (a section). */
export const factsOf = (schema: object): KeyFacts | null => FACTS.get(schema) ?? null;

/** Remembers what people are told about a key, and returns the key's schema unchanged. */
export function withFacts<Schema extends object>(schema: Schema, facts: KeyFacts): Schema {
  FACTS.set(schema, facts);
  return schema;
}

export interface Described<T> {
  readonly fallback: T;
  readonly description: string;
}

const PATH_LENGTH_MAX = 4095;
const path = v.pipe(v.string(), v.regex(/^\/[^\0\n]*$/), v.maxLength(PATH_LENGTH_MAX));

/** True or false. */
export function switchKey({ fallback, description }: Described<boolean>) {
  const schema = v.optional(v.pipe(v.boolean(), v.description(description)), fallback);
  return withFacts(schema, { kind: 'switch', allowed: 'true or false', fallback: String(fallback), description });
}

/** One of a few words. */
export function choiceKey<const Word extends string>(
  words: readonly Word[],
  { fallback, description }: Described<Word>,
) {
  const schema = v.optional(v.pipe(v.picklist(words), v.description(description)), fallback);
  const allowed = words.map((word) => JSON.stringify(word)).join(', ');
  return withFacts(schema, { kind: 'text', allowed, fallback: JSON.stringify(fallback), description });
}

export interface Range {
  readonly min: number;
  readonly max: number;
}

/** A whole number of a range, as a bare schema. */
export const wholeNumber = ({ min, max }: Range) => v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max));

/** A whole number of a range. */
export function wholeKey(range: Range, { fallback, description }: Described<number>) {
  const schema = v.optional(v.pipe(wholeNumber(range), v.description(description)), fallback);
  const allowed = `a whole number from ${range.min} to ${range.max}`;
  return withFacts(schema, { kind: 'number', allowed, fallback: String(fallback), description });
}

/** A whole number of a range that may be left out. `fallback` says in words what that means. */
export function optionalWholeKey(range: Range, { fallback, description }: Described<string>) {
  const schema = v.optional(v.pipe(wholeNumber(range), v.description(description)));
  const allowed = `a whole number from ${range.min} to ${range.max}`;
  return withFacts(schema, { kind: 'number', allowed, fallback, description });
}

/** A number of a range, fractions included. */
export function numberKey({ min, max }: Range, { fallback, description }: Described<number>) {
  const schema = v.optional(v.pipe(v.number(), v.minValue(min), v.maxValue(max), v.description(description)), fallback);
  return withFacts(schema, {
    kind: 'number',
    allowed: `a number from ${min} to ${max}`,
    fallback: String(fallback),
    description,
  });
}

/** An absolute path. */
export function pathKey({ fallback, description }: Described<string>) {
  const schema = v.optional(v.pipe(path, v.description(description)), fallback);
  return withFacts(schema, {
    kind: 'text',
    allowed: 'an absolute path',
    fallback: JSON.stringify(fallback),
    description,
  });
}

/** A path of libvirt's, without a host, and what may follow it. */
const localUri = v.pipe(
  v.string(),
  v.regex(/^[a-z]+(\+unix)?:\/\/\/[\w.-]*(\?[\x21-\x26\x28-\x7e]*)?$/),
  v.maxLength(PATH_LENGTH_MAX),
);

/** What libvirt connects to on this host. */
export function uriKey({ fallback, description }: Described<string>) {
  const schema = v.optional(v.pipe(localUri, v.description(description)), fallback);
  return withFacts(schema, {
    kind: 'text',
    allowed: 'a URI of libvirt without a host in it, as qemu:///system',
    fallback: JSON.stringify(fallback),
    description,
  });
}

/** An absolute path that may be left out. `fallback` says in words what that means. */
export function optionalPathKey({ fallback, description }: Described<string>) {
  const schema = v.optional(v.pipe(path, v.description(description)));
  return withFacts(schema, { kind: 'text', allowed: 'an absolute path', fallback, description });
}

/** A list of at most `lengthMax` different absolute paths, empty by default. That they differ is for the check of the values to see. */
export function pathListKey(lengthMax: number, description: string) {
  // For editors: a JSON Schema has a word for it.
  const differ = v.metadata<string[], { readonly uniqueItems: true }>({ uniqueItems: true });
  const schema = v.optional(v.pipe(v.array(path), v.maxLength(lengthMax), differ, v.description(description)), []);
  return withFacts(schema, {
    kind: 'list',
    allowed: `a list of at most ${lengthMax} different absolute paths`,
    fallback: '[]',
    description,
  });
}
