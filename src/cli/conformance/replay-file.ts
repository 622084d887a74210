/** Replays one vector file, plain or gzipped; what kind it is, its first line tells. */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import * as v from 'valibot';
import { errorText, SelfballoonError } from '../../errors.js';
import { createAttributeReplay, isAttributeLine } from './attribute-lines.js';
import type { Comparison, LineReplay } from './comparison.js';
import { createDriverReplay } from './driver-lines.js';
import { createInitReplay, isInitLine } from './init-lines.js';
import { createStepReplay, isStepLine } from './step-lines.js';

const KINDS: readonly { readonly matches: (line: object) => boolean; readonly create: () => LineReplay }[] = [
  { matches: isStepLine, create: createStepReplay },
  { matches: isAttributeLine, create: createAttributeReplay },
  { matches: isInitLine, create: createInitReplay },
  { matches: (line) => 'op' in line && 'stats' in line, create: driverReplay },
];

function driverReplay(): LineReplay {
  const scenarios = createDriverReplay();
  return (line) => scenarios.replay(line);
}

export interface FileResult {
  readonly lines: number;
  readonly agreeing: number;
  /** The first line that does not agree, in full. */
  readonly firstDifference: { readonly number: number; readonly text: string; readonly comparison: Comparison } | null;
}

/** Replays every line of `path`. Throws `SelfballoonError` for a file that cannot be read or is of no kind that we know. */
export async function replayFile(path: string): Promise<FileResult> {
  let replay: LineReplay | null = null;
  let firstDifference: FileResult['firstDifference'] = null;
  let [number, lines, agreeing] = [0, 0, 0];
  for await (const text of readLines(path)) {
    number += 1;
    if (text.trim() === '') continue;
    lines += 1;
    const line = parseLine(path, number, text);
    replay ??= replayFor(path, line);
    const comparison = replayLine(replay, line);
    if (comparison.agrees) agreeing += 1;
    else firstDifference ??= { number, text, comparison };
  }
  if (lines === 0) throw badFile(path, 'it has no lines', null);
  return { lines, agreeing, firstDifference };
}

async function* readLines(path: string): AsyncIterable<string> {
  try {
    yield* createInterface({ input: await openText(path), crlfDelay: Infinity });
  } catch (error) {
    throw badFile(path, errorText(error), error);
  }
}

const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);

async function openText(path: string): Promise<Readable> {
  const file = await open(path);
  const { buffer } = await file.read(Buffer.alloc(GZIP_MAGIC.length), 0, GZIP_MAGIC.length, 0);
  await file.close();
  const raw = createReadStream(path);
  if (!buffer.equals(GZIP_MAGIC)) return raw;
  const text = createGunzip();
  raw.on('error', (error) => text.destroy(error));
  return raw.pipe(text);
}

function parseLine(path: string, number: number, text: string): object {
  try {
    const line: unknown = JSON.parse(text);
    if (typeof line === 'object' && line !== null) return line;
  } catch (error) {
    throw badFile(path, `line ${number} is not JSON (${errorText(error)})`, error);
  }
  throw badFile(path, `line ${number} is not a JSON object`, null);
}

function replayFor(path: string, line: object): LineReplay {
  const kind = KINDS.find(({ matches }) => matches(line));
  if (kind === undefined)
    throw badFile(path, `its first line is of no known kind (it has ${Object.keys(line).join(', ')})`, null);
  return kind.create();
}

/** A line that cannot be replayed is a line that does not agree: the rest of the file still counts. */
function replayLine(replay: LineReplay, line: unknown): Comparison {
  try {
    return replay(line);
  } catch (error) {
    return {
      agrees: false,
      expected: 'a line that can be replayed',
      got: describeFailure(error),
      where: 'the line itself',
    };
  }
}

function describeFailure(error: unknown): string {
  if (!v.isValiError(error)) return errorText(error);
  return error.issues.map((issue) => `${v.getDotPath(issue) ?? '(the line)'}: ${issue.message}`).join('; ');
}

function badFile(path: string, seen: string, cause: unknown): SelfballoonError {
  const message = `${path} cannot be replayed: ${seen}`;
  return new SelfballoonError({ code: 'EINVAL', message, advice: 'Give a vector file, plain or gzipped', cause });
}
