/** The built program as a process of its own, and waiting for what it does. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const PROGRAM = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));

/** For what must come in any case: half a minute of looks. */
const LOOKS_MAX = 600;
const PAUSE_MS = 50;

/** What is given up must not look like use, and be given back in the next round. */
export const ROUNDS_MS = 3_500;

export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs it to its end. `env`: its whole environment. */
export function selfballoonIn(env: NodeJS.ProcessEnv, ...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...args], { env }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

/** The same in this process's environment. */
export const selfballoon = (...args: readonly string[]): Promise<Ended> => selfballoonIn(process.env, ...args);

/** Looks again and again until `isSo`. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let look = 0; look < LOOKS_MAX; look += 1) {
    if (await isSo()) return;
    await sleep(PAUSE_MS);
  }
  assert.fail(`still not: ${what}`);
}

/** Looks for so many milliseconds whether it is still so. */
export async function staysFor(length: number, isSo: () => boolean): Promise<void> {
  for (let waited = 0; waited < length; waited += PAUSE_MS) {
    assert.ok(isSo(), `not any more after ${waited} ms`);
    await sleep(PAUSE_MS);
  }
}
