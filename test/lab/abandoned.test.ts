/** Protects the machine that runs tests: whatever ends a test's process, nothing that it started goes on without it. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive, RUNNER_VARIABLE } from '../../lab/abandoned.js';
import { makeRunFolder } from '../../lab/run-folder.js';
import { findCommand } from '../../lab/tool.js';

const moduleOf = (name: string): string => JSON.stringify(new URL(`../../lab/${name}.js`, import.meta.url).href);

/** Starts a script that prints one number, and returns it with the process. */
async function startPrinting(script: string, env: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  const [printed] = (await child.stdout.take(1).toArray()) as readonly Buffer[];
  return { child, number: Number(String(printed)) };
}

/** Waits until a process is gone; the test's own time limit ends the waiting. */
async function untilGone(pid: number): Promise<void> {
  while (isAlive(pid)) await sleep(20);
}

const ended = (child: ChildProcess): Promise<unknown> =>
  child.exitCode === null && child.signalCode === null
    ? new Promise((resolve) => child.once('exit', resolve))
    : Promise.resolve();

const skip = findCommand('setpriv') === null && 'needs setpriv (util-linux)';

describe('a process tied to the one that started it', { timeout: 60_000 }, () => {
  const script = `
    import { spawnTied } from ${moduleOf('tied-process')};
    const child = spawnTied('sleep', ['600']);
    child.once('spawn', () => setTimeout(() => console.log(child.pid), 500));
    setInterval(() => undefined, 1000);`;

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGKILL'] as const) {
    it(`ends with it on ${signal}`, { skip }, async () => {
      const { child, number } = await startPrinting(script);
      assert.ok(isAlive(number));
      child.kill(signal);
      await untilGone(number);
    });
  }

  it('ends with it when it crashes', { skip }, async () => {
    const { child, number } = await startPrinting(
      `${script} setTimeout(() => { process.kill(process.pid, 'SIGSEGV'); }, 1000);`,
    );
    await ended(child);
    await untilGone(number);
  });

  it('is what outlives its parent when it is started in the plain way', async () => {
    const plain = `
      import { spawn } from 'node:child_process';
      console.log(spawn('sleep', ['600'], { stdio: 'ignore' }).pid);
      setInterval(() => undefined, 1000);`;
    const { child, number } = await startPrinting(plain);
    child.kill('SIGKILL');
    await ended(child);
    assert.ok(isAlive(number));
    process.kill(number);
  });
});

describe('a test whose runner is gone', { timeout: 60_000 }, () => {
  const waiting = `
    import { endWhenAbandoned } from ${moduleOf('abandoned')};
    endWhenAbandoned();
    console.log(process.pid);
    setInterval(() => undefined, 1000);`;

  it('ends when its parent has ended', async () => {
    const script = `
      import { spawn } from 'node:child_process';
      const options = { stdio: ['ignore', 'inherit', 'ignore'] };
      spawn(process.execPath, ['--input-type=module', '-e', ${JSON.stringify(waiting)}], options);
      setInterval(() => undefined, 1000);`;
    const { child, number } = await startPrinting(script);
    child.kill('SIGKILL');
    await untilGone(number);
  });

  it('ends when the runner of all tests has ended, though its parent is there', async () => {
    const runner = spawn('sleep', ['600'], { stdio: 'ignore' });
    const { child } = await startPrinting(waiting, { [RUNNER_VARIABLE]: String(runner.pid) });
    runner.kill('SIGKILL');
    await ended(child);
    assert.equal(child.exitCode, 1);
  });
});

describe("a run's folder", () => {
  let parent: string;
  before(() => {
    parent = mkdtempSync(join(tmpdir(), 'selfballoon-folders-'));
  });
  after(() => {
    rmSync(parent, { recursive: true });
  });

  it('left by a run that was killed is removed by the next one, and those in use are not', async () => {
    const gone = spawn('true');
    await ended(gone);
    const [left, used, foreign] = [`lab-${String(gone.pid)}-abc`, `lab-${process.ppid}-abc`, 'lab-of-somebody'];
    for (const name of [left, used, foreign]) mkdirSync(join(parent, name));
    const made = makeRunFolder('lab', parent);
    assert.ok(existsSync(made));
    assert.ok(!existsSync(join(parent, left)));
    assert.equal(readdirSync(parent).length, 3);
  });
});
