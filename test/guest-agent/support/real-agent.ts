/** A real guest agent for tests, of this machine instead of a guest, on a unix socket. It cannot outlive the test's process. */
import { spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { spawnTied } from '../../../lab/tied-process.js';
import { patience } from '../../qmp/support/opened.js';

const PROGRAM = ['/usr/sbin/qemu-ga', '/usr/bin/qemu-ga'].find((path) => existsSync(path)) ?? null;

/** For the test runner's `skip`. */
export const NEEDS_AGENT =
  PROGRAM === null && 'qemu-ga is not installed here (Debian: apt-get install qemu-guest-agent)';

/** How this version calls the list of commands that are switched off: it was renamed in 8.1, and 9.1 dropped the old name. */
function optionToSwitchOff(program: string): string {
  const { stdout } = spawnSync(program, ['--help'], { encoding: 'utf8' });
  return /--block-rpcs/.test(stdout) ? '--block-rpcs' : '--blacklist';
}

export class RealAgent {
  readonly path: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'selfballoon-qga-'));
  readonly #process: ChildProcess;
  readonly #exit: Promise<unknown>;

  private constructor(program: string, switchedOff: readonly string[]) {
    this.path = join(this.#folder, 'agent');
    const off = switchedOff.length === 0 ? [] : [`${optionToSwitchOff(program)}=${switchedOff.join(',')}`];
    const here = ['-m', 'unix-listen', '-p', this.path, '-t', this.#folder, '-f', join(this.#folder, 'pid')];
    this.#process = spawnTied(program, [...here, ...off]);
    this.#process.stdout?.resume();
    this.#process.stderr?.resume();
    this.#exit = new Promise((resolve) => this.#process.once('exit', resolve));
  }

  /** Resolves when it listens. */
  static async start(switchedOff: readonly string[] = []): Promise<RealAgent> {
    if (PROGRAM === null) throw new Error(String(NEEDS_AGENT));
    const agent = new RealAgent(PROGRAM, switchedOff);
    const limit = patience();
    while (!existsSync(agent.path) && !limit.aborted) await setTimeout(20);
    return agent;
  }

  /** `STOP` and `CONT`. */
  signal(name: 'STOP' | 'CONT'): void {
    this.#process.kill(`SIG${name}`);
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  async close(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#exit;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
