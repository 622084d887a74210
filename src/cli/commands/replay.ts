/** `selfballoon replay`: decides again from a journal, and tells the first difference. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { createReplay, type Difference, type JournalRecord } from '../../control/journal.js';
import { createStep } from '../../control/step.js';
import { errorText, SelfballoonError } from '../../errors.js';
import { findPolicy, selfPolicy } from '../../policies/index.js';
import { decodeRecord } from '../journal/decode-record.js';

/** Replays the file at `path`; true when every decision is the same. Throws `SelfballoonError` for what is no journal. */
export async function replayJournal(path: string, print: (text: string) => void): Promise<boolean> {
  const replay = createReplay((name) => createStep(findPolicy(name) ?? selfPolicy));
  let number = 0;
  let torn: number | null = null;
  for await (const text of readLines(path)) {
    number += 1;
    if (text === '') continue;
    if (torn !== null) print(`line ${torn} was cut short and is left out: the daemon was killed while writing it`);
    torn = null;
    const record = parseRecord(path, number, text);
    if (record === null) torn = number;
    const difference = record === null ? null : takeRecord(path, number, replay, record);
    if (difference !== null) {
      printDifference(number, difference, print);
      return false;
    }
  }
  const { steps, decisions, skipped } = replay.counts;
  if (torn !== null) print(`the last line (${torn}) was cut short and is left out`);
  if (skipped > 0) print(`${skipped} steps stand before the first start record and could not be replayed`);
  if (steps === 0) throw notAJournal(path, 'it has no steps that can be replayed');
  print(`${steps} steps, ${decisions} decisions: identical`);
  return true;
}

async function* readLines(path: string): AsyncIterable<string> {
  try {
    yield* createInterface({ input: createReadStream(path), crlfDelay: Infinity });
  } catch (error) {
    throw notAJournal(path, errorText(error));
  }
}

/** Null for a line that was cut short. The first line is never one: it would be another kind of file. */
function parseRecord(path: string, number: number, text: string): JournalRecord | null {
  const line = parseLine(path, number, text);
  if (line === null) return null;
  const decoded = decodeRecord(line.content);
  if (decoded.kind === 'bad') throw notAJournal(path, `line ${number} ${decoded.why}`);
  return decoded.record;
}

function parseLine(path: string, number: number, text: string): { readonly content: unknown } | null {
  try {
    return { content: JSON.parse(text) };
  } catch (error) {
    if (number > 1 && text.startsWith('{"kind":')) return null;
    throw notAJournal(path, `line ${number} is not JSON (${errorText(error)})`);
  }
}

function takeRecord(
  path: string,
  number: number,
  replay: ReturnType<typeof createReplay>,
  record: JournalRecord,
): Difference | null {
  try {
    return replay.take(record);
  } catch (error) {
    throw notAJournal(path, `line ${number} cannot be replayed (${errorText(error)})`);
  }
}

function printDifference(number: number, difference: Difference, print: (text: string) => void): void {
  print(`first difference: line ${number}, at ${new Date(difference.at).toISOString()}`);
  if (difference.kind === 'start') {
    print(
      '  the state that stands there is not the one that the steps before it lead to; is a file of the set missing?',
    );
  }
  print(`  recorded: ${JSON.stringify(difference.recorded)}`);
  print(`  decided:  ${JSON.stringify(difference.decided)}`);
}

function notAJournal(path: string, seen: string): SelfballoonError {
  const advice = 'Give a file that a daemon wrote with journal.path set';
  return new SelfballoonError({ code: 'EINVAL', message: `${path} cannot be replayed: ${seen}`, advice });
}
