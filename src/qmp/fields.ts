/** Values inside of what QEMU says, each checked: what is not as it should be is null. Nothing here throws. */
import { bytes, type Bytes } from '../units.js';

export type JsonObject = Readonly<Record<string, unknown>>;

/** Names, paths and ids that are longer are not believed. In characters. */
const TEXT_CHARACTERS_MAX = 4096;

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The object, or one without any members. */
export const objectIn = (value: unknown): JsonObject => (isObject(value) ? value : {});

/** The list, each of whose elements `decode` knows; null if it is none, or `decode` gives null for one. */
export function listIn<T>(value: unknown, decode: (element: unknown) => T | null): readonly T[] | null {
  if (!Array.isArray(value)) return null;
  const decoded: T[] = [];
  for (const element of value) {
    const known = decode(element);
    if (known === null) return null;
    decoded.push(known);
  }
  return decoded;
}

/** A whole number, 0 to 2^53 − 1. QEMU says 2^64 − 1, and older ones −1, for what is not known. */
export const countIn = (value: unknown): number | null =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;

/** The same, of bytes. */
export function bytesIn(value: unknown): Bytes | null {
  const count = countIn(value);
  return count === null ? null : bytes(count);
}

/** A text of 1 to 4096 characters. */
export const textIn = (value: unknown): string | null =>
  typeof value === 'string' && value !== '' && value.length <= TEXT_CHARACTERS_MAX ? value : null;

export const booleanIn = (value: unknown): boolean | null => (typeof value === 'boolean' ? value : null);
