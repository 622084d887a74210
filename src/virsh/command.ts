/** Words as a line that virsh takes for the same words. It does not know what the words mean. */
import { invalid } from './errors.js';

const PLAIN = /^[\w@%+=:,./-]+$/;
/** virsh's own quotes take everything else, but its line editor acts on control characters and does not know UTF-8 everywhere. */
const QUOTABLE = /^[\x20-\x26\x28-\x7e]*$/;
/** The longest line, in characters: as long as what is written into a guest at once. */
const LINE_MAX = 256 * 1024;

/**
 * The line. Throws `VirshError` (EINVAL) for words that virsh could misunderstand: with quotes, control characters or anything beyond
 * ASCII. Domains are called by their UUIDs, never by their names, and JSON can say everything in ASCII (`asciiJson`).
 */
export function commandLine(words: readonly string[]): string {
  const line = words.map(quote).join(' ');
  if (line.length > LINE_MAX) throw invalid(`a command for virsh is longer than ${LINE_MAX} characters`);
  return line;
}

function quote(word: string): string {
  if (PLAIN.test(word)) return word;
  if (!QUOTABLE.test(word)) throw invalid('a word for virsh has a quote, a control character or a letter beyond ASCII');
  return `'${word}'`;
}

/** JSON that `commandLine` takes: what it does not is escaped. */
export const asciiJson = (value: unknown): string =>
  JSON.stringify(value).replace(/['\x7f-\uffff]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** Whether it names a domain so that no other is meant. */
export const isUuid = (text: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
