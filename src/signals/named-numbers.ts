/**
 * Files of `name number` lines: `/proc/meminfo` and `/proc/vmstat`. Finds the numbers of the names asked for, and says of
 * each one separately why it is unknown. It does not know what a name means; lines with other names are not looked at.
 */
import { known, type Field } from '../control/signal.js';
import { forEachLine, malformed, missing, parseWhole, quote, refuseText, skipSpaces } from './text.js';

export interface NamedNumbersGrammar {
  /** For messages. */
  readonly file: string;
  /** What ends a name. */
  readonly separator: ':' | ' ';
  /** What ends the line. */
  readonly suffix: '' | ' kB';
  readonly names: ReadonlySet<string>;
}

/** The number of one of the grammar's names. Absent: `not-reported`. Not a number, cut, or given twice: `malformed`. */
export type NamedNumbers = (name: string) => Field<number>;

/** Reads a whole text once. Never throws. */
export function parseNamedNumbers(text: string, grammar: NamedNumbersGrammar): NamedNumbers {
  const refusal = refuseText(grammar.file, text);
  if (refusal !== null) return () => refusal;
  const found = scan(text, grammar);
  return (name) => found.get(name) ?? missing(grammar.file, text, name);
}

function scan(text: string, grammar: NamedNumbersGrammar): ReadonlyMap<string, Field<number>> {
  const { file, separator, names } = grammar;
  const found = new Map<string, Field<number>>();
  // It only ever moves forward, so that a text without separators is not searched to its end for every line.
  let nameEnd = text.indexOf(separator);
  forEachLine(text, (start, end, isWhole) => {
    if (nameEnd !== -1 && nameEnd < start) nameEnd = text.indexOf(separator, start);
    if (nameEnd === -1 || nameEnd >= end) return;
    const name = text.slice(start, nameEnd);
    if (!names.has(name)) return;
    if (found.has(name)) found.set(name, malformed(file, `${name} is there twice`));
    else found.set(name, isWhole ? parseNumber(text, nameEnd, end, grammar) : malformed(file, `cut short in ${name}`));
  });
  return found;
}

function parseNumber(text: string, nameEnd: number, end: number, grammar: NamedNumbersGrammar): Field<number> {
  const from = skipSpaces(text, nameEnd + 1, end);
  const to = end - grammar.suffix.length;
  const value = text.endsWith(grammar.suffix, end) ? parseWhole(text, from, to) : null;
  if (value !== null) return known(value);
  return malformed(grammar.file, `${quote(text.slice(Math.max(0, nameEnd - 32), end))} is not a name and its number`);
}
