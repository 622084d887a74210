/**
 * Runs every test file with node's own runner, or those with one of the given words in their path. Its last lines say how many
 * passed; the exit code says whether all did. What ends this process ends the tests.
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RUNNER_VARIABLE } from '../lab/abandoned.js';

const compiled = fileURLToPath(new URL('../test', import.meta.url));
const wanted = process.argv.slice(2);

const files = readdirSync(compiled, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.js'))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .map((file) => join(compiled, file))
  .sort();
if (files.length === 0) throw new Error(`no test file has ${wanted.join(' or ')} in its path`);

const options = ['--enable-source-maps', '--test', '--test-concurrency=2', '--test-reporter=spec'];
const runner = spawn(process.execPath, [...options, ...files], {
  stdio: 'inherit',
  env: { ...process.env, [RUNNER_VARIABLE]: String(process.pid) },
});
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => runner.kill(name));
runner.once('exit', (code, signal) => {
  if (signal !== null) console.error(`the tests were ended by ${signal}`);
  process.exitCode = code ?? 1;
});
