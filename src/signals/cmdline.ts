/**
 * `/proc/cmdline`: the words of the kernel's command line, with the kernel's own rules for quotes. It does not know which
 * words mean anything.
 *
 * Source: the kernel's Documentation/admin-guide/kernel-parameters.rst.
 */
import { known, type Field } from '../control/signal.js';
import { malformed, refuseText } from './text.js';

/** The kernel's command line, cut into words. */
export interface CommandLine {
  /** Words for the kernel, in order. A blank inside double quotes does not end a word; quotes around a value are gone. */
  readonly words: readonly string[];
  /** Words after a lone `--`: they are for init, and no boot option of ours is among them. */
  readonly initWords: readonly string[];
}

const FILE = '/proc/cmdline';
const BLANK = /\s/;

/** Parses the text of `/proc/cmdline`. NUL bytes, or no newline at the end, are `malformed`. Never throws. */
export function parseCommandLine(text: string): Field<CommandLine> {
  const refusal = refuseText(FILE, text);
  if (refusal !== null) return refusal;
  if (!text.endsWith('\n')) return malformed(FILE, 'cut short');
  if (text.includes('\0')) return malformed(FILE, 'has a NUL byte');
  const all = splitWords(text.slice(0, -1)).map(unquote);
  const end = all.indexOf('--');
  return known(
    end === -1 ? { words: all, initWords: [] } : { words: all.slice(0, end), initWords: all.slice(end + 1) },
  );
}

/** Cuts at blanks that are not inside double quotes. A quote that is never closed reaches to the end, as in the kernel. */
function splitWords(text: string): readonly string[] {
  const found: string[] = [];
  let start = 0;
  let isQuoted = false;
  for (let at = 0; at <= text.length; at += 1) {
    const letter = text.charAt(at);
    if (letter === '"') isQuoted = !isQuoted;
    const isEnd = at === text.length || (!isQuoted && BLANK.test(letter));
    if (!isEnd) continue;
    if (at > start) found.push(text.slice(start, at));
    start = at + 1;
  }
  return found;
}

/** `"a b"` → `a b`, `name="a b"` → `name=a b`; a quote elsewhere in the word stays, as in the kernel. */
function unquote(word: string): string {
  if (word.startsWith('"')) return dropLastQuote(word.slice(1));
  const equals = word.indexOf('=');
  if (equals === -1 || word[equals + 1] !== '"') return word;
  return word.slice(0, equals + 1) + dropLastQuote(word.slice(equals + 2));
}

const dropLastQuote = (text: string): string => (text.endsWith('"') ? text.slice(0, -1) : text);
