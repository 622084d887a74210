/**
 * Protects a service with `User=`: that its daemon can be asked and steered without anything being configured, and that its stop action sees
 * a daemon that runs. What systemd does is done by hand: the folder that it makes for the user, and an environment with nothing but its name.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { temporaryFolder } from '../server/fakes.js';
import { PROGRAM, selfballoon, until } from './support/program.js';

const NEEDS_ROOT = process.geteuid?.() === 0 ? false : 'needs root, to act as another user';
const NOBODY = 65_534;

interface Service {
  readonly socket: string;
  /** Runs a command of the unit. */
  readonly spawn: (...args: readonly string[]) => {
    readonly said: () => string;
    readonly ended: Promise<number | null>;
  };
}

function service(test: TestContext): Service {
  const run = temporaryFolder(test);
  chmodSync(run, 0o755);
  const folder = join(run, 'selfballoon');
  mkdirSync(folder, { mode: 0o755 });
  chownSync(folder, NOBODY, NOBODY);
  const options = { uid: NOBODY, gid: NOBODY, cwd: '/', env: { RUNTIME_DIRECTORY: folder } };
  return {
    socket: join(folder, 'selfballoon.sock'),
    spawn: (...args) => {
      const child = spawn(process.execPath, [PROGRAM, ...args], options);
      test.after(() => child.kill('SIGKILL'));
      let said = '';
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += String(chunk)));
      const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
      return { said: () => said, ended };
    },
  };
}

describe('a service with a user of its own', { skip: NEEDS_ROOT }, () => {
  it('answers in the folder that was made for it, to root and to its own stop action', async (test) => {
    const { socket, spawn: run } = service(test);
    const daemon = run('run', '--no-table', '--hypervisor', 'embedded', '--speed', '100');
    await until('it makes a round', () => daemon.said().includes('8 simulated guests hold'));
    assert.match(daemon.said(), /answers on .*selfballoon\.sock/);
    assert.doesNotMatch(daemon.said(), /cannot be controlled/);
    assert.equal((await selfballoon('status', '--socket', socket)).code, 0);

    const action = run('release', '--unless-driven');
    assert.equal(await action.ended, 0);
    assert.match(action.said(), /a daemon answers and goes on: nothing was released/);

    // Root's own place is that folder: a second daemon, started there by hand, must not run beside the first without a socket.
    const second = await selfballoon('run', '--no-table', '--hypervisor', 'embedded', '--socket', socket);
    assert.equal(second.code, 1);
    assert.match(second.err, /a daemon is already running there/);
  });
});
