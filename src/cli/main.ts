#!/usr/bin/env node
/** The program's entry: runs a command, and turns what went wrong into one sentence and an exit code. */
import { readFileSync } from 'node:fs';
import { SelfballoonError } from '../errors.js';
import { createProgram } from './program.js';

const PACKAGE = new URL('../../../package.json', import.meta.url);

function versionIn(text: string): string {
  const description: unknown = JSON.parse(text);
  const isFound = typeof description === 'object' && description !== null && 'version' in description;
  return isFound && typeof description.version === 'string' ? description.version : 'unknown';
}

try {
  await createProgram(versionIn(readFileSync(PACKAGE, 'utf8'))).parseAsync();
} catch (error) {
  // What we expected has a sentence; anything else is a bug of ours, and its stack is what helps.
  const text = error instanceof SelfballoonError ? `selfballoon: ${error.message}` : error;
  console.error(text);
  process.exitCode = 1;
}
