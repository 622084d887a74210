/**
 * Runs every test file with node's own runner, or those with one of the given words in their path; those in the lab after the
 * others. The runner says how many passed; the exit code says whether all did. What ends this process ends the tests.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RUNNER_VARIABLE } from '../lab/abandoned.js';
import { labMode } from '../lab/mode.js';

const ENDINGS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const compiled = fileURLToPath(new URL('../test', import.meta.url));
const wanted = process.argv.slice(2);

const files = readdirSync(compiled, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.js'))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .sort();
if (files.length === 0) throw new Error(`no test file has ${wanted.join(' or ')} in its path`);

const inLab = (...names: readonly string[]): readonly string[] => names.map((name) => join('lab', `${name}.test.js`));
/** What boots an emulated machine. A group begins when the one before is over; one that keeps two processors busy is by itself. */
const MACHINES = [
  inLab('libvirt', 'libvirt-growth', 'qemu-lab', 'qemu', 'guest-agent'),
  inLab('libvirt-rules', 'qemu-rules'),
  inLab('xen'),
];
/** Nothing where the lab is left out. */
const bootsMachine = (file: string): boolean => labMode(process.env) !== 'off' && MACHINES.flat().includes(file);

/** Runs the files, two at a time, and returns the runner's exit code; null when a signal has ended it. */
async function runFiles(group: readonly string[]): Promise<number | null> {
  const options = ['--enable-source-maps', '--test', '--test-concurrency=2', '--test-reporter=spec'];
  const runner = spawn(process.execPath, [...options, ...group.map((file) => join(compiled, file))], {
    stdio: 'inherit',
    env: { ...process.env, [RUNNER_VARIABLE]: String(process.pid) },
  });
  const pass = (name: NodeJS.Signals): boolean => runner.kill(name);
  for (const name of ENDINGS) process.on(name, pass);
  const [code, signal] = (await once(runner, 'exit')) as [number | null, NodeJS.Signals | null];
  for (const name of ENDINGS) process.off(name, pass);
  if (signal !== null) console.error(`the tests were ended by ${signal}`);
  return code;
}

const machines = MACHINES.map((group) => group.filter((file) => files.includes(file) && bootsMachine(file)));
const groups = [files.filter((file) => !bootsMachine(file)), ...machines];
for (const group of groups.filter(({ length }) => length > 0)) {
  const code = await runFiles(group);
  if (code !== 0) process.exitCode = code ?? 1;
  if (code === null) break;
}
