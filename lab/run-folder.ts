/** A temporary folder for one run of a lab. What a run that was killed has left behind is removed by the next one. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { isAlive } from './abandoned.js';

/** Makes the folder `PREFIX-PID-…` under the temporary directory, and removes those of processes that are gone. */
export function makeRunFolder(prefix: string, parent = tmpdir()): string {
  for (const name of readdirSync(parent)) {
    const pid = leftBy(prefix, name);
    if (pid !== null && !isAlive(pid)) rmSync(join(parent, name), { recursive: true, force: true });
  }
  return mkdtempSync(join(parent, `${prefix}-${process.pid}-`));
}

function leftBy(prefix: string, name: string): number | null {
  const rest = name.startsWith(`${prefix}-`) ? name.slice(prefix.length + 1) : '';
  const pid = /^(\d+)-/.exec(rest)?.[1];
  return pid === undefined ? null : Number(pid);
}
