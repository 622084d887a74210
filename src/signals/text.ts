/**
 * What all parsers of kernel text share: the limit on its size, lines, whole numbers, and the words for a refusal. A line
 * counts only with its newline: the kernel always writes one, so a last line without it was cut and its number may be wrong.
 */
import { unknown, type Unknown } from '../control/signal.js';
import { quoted } from '../errors.js';

/** Longest text that a parser looks at, in characters, and a reader reads, in bytes. A 2,000-CPU machine's zoneinfo fits. */
export const TEXT_LENGTH_MAX = 1_048_576;

const QUOTED_LENGTH_MAX = 48;
/** 9,007,199,254,740,991 has 16 digits: more of them cannot be a safe integer. */
const DIGITS_MAX = 16;
const CODE_0 = 48;
const CODE_SPACE = 32;

/** A piece of foreign text, cut to a readable length and escaped, for a message. */
export const quote = (text: string): string => quoted(text, QUOTED_LENGTH_MAX);

/** A refusal that names the file. */
export const malformed = (file: string, seen: string): Unknown => unknown('malformed', `${file}: ${seen}`);

/** Why a text as a whole cannot be believed, or null: it is longer than the limit, or empty. */
export function refuseText(file: string, text: string): Unknown | null {
  if (text.length > TEXT_LENGTH_MAX) return malformed(file, `longer than ${TEXT_LENGTH_MAX} characters`);
  return text === '' ? malformed(file, 'empty') : null;
}

/** What to say of a name that was not found: a text cut short may have had it, a whole one does not. */
export function missing(file: string, text: string, name: string): Unknown {
  if (!text.endsWith('\n')) return malformed(file, `cut short, and no ${name} before the cut`);
  return unknown('not-reported', `${file} has no ${name}`);
}

/** A line is `text.slice(start, end)`; `isWhole` says that its newline follows. */
export type LineVisitor = (start: number, end: number, isWhole: boolean) => void;

/** Calls `visit` for each line, in order. */
export function forEachLine(text: string, visit: LineVisitor): void {
  let start = 0;
  while (start < text.length) {
    const newline = text.indexOf('\n', start);
    const end = newline === -1 ? text.length : newline;
    visit(start, end, newline !== -1);
    start = end + 1;
  }
}

/** The first position from `from` on, at most `end`, that holds no space. */
export function skipSpaces(text: string, from: number, end: number): number {
  let at = from;
  while (at < end && text.charCodeAt(at) === CODE_SPACE) at += 1;
  return at;
}

/** The whole number that `text.slice(from, to)` is: digits only, below 2^53. Null for anything else. */
export function parseWhole(text: string, from = 0, to = text.length): number | null {
  if (to <= from || to - from > DIGITS_MAX) return null;
  let value = 0;
  for (let at = from; at < to; at += 1) {
    const digit = text.charCodeAt(at) - CODE_0;
    if (digit < 0 || digit > 9) return null;
    value = value * 10 + digit;
  }
  return value <= Number.MAX_SAFE_INTEGER ? value : null;
}
