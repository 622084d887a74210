#!/usr/bin/env node
/** The program's entry: runs a command, and turns what went wrong into one sentence and an exit code. */
import { readFileSync } from 'node:fs';
import { SelfballoonError, visibleLines } from '../errors.js';
import { exitNow } from '../posix/exit.js';
import { createProgram } from './program.js';

const PACKAGE = new URL('../../../package.json', import.meta.url);

/** What is still under way when the command is done has so long to end. */
const STRAGGLERS_MS = 2_000;

function versionIn(text: string): string {
  const description: unknown = JSON.parse(text);
  const isFound = typeof description === 'object' && description !== null && 'version' in description;
  return isFound && typeof description.version === 'string' ? description.version : 'unknown';
}

try {
  await createProgram(versionIn(readFileSync(PACKAGE, 'utf8'))).parseAsync();
} catch (error) {
  // What we expected has a sentence; anything else is a bug of ours, and its stack is what helps.
  const text = error instanceof SelfballoonError ? `selfballoon: ${visibleLines(error.message)}` : error;
  console.error(text);
  process.exitCode = 1;
}

// A call of a C library that hangs, as libxenstat's does while xenstored hangs, would keep a program that is done from ending. The
// timer itself keeps nothing: where all is well it never goes off.
setTimeout(() => void exitNow(Number(process.exitCode ?? 0)), STRAGGLERS_MS).unref();
