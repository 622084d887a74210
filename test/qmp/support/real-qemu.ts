/**
 * A real QEMU for tests. It is started stopped (`-S`) and runs no guest. It cannot outlive the test's process, and its sockets are in
 * a folder of its own that goes with it.
 */
import { spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { spawnTied } from '../../../lab/tied-process.js';
import { connectQmp, QmpError, type Qmp, type QmpOptions } from '../../../src/qmp/index.js';
import { patience, until } from './opened.js';

const PROGRAM = 'qemu-system-x86_64';
const saidVersion = spawnSync(PROGRAM, ['--version'], { encoding: 'utf8' });

/** As `7.2.22`; null where it is not installed. */
export const INSTALLED_VERSION =
  /version (\d+\.\d+\.\d+)/.exec(saidVersion.error ? '' : saidVersion.stdout)?.[1] ?? null;

/** For the test runner's `skip`. */
export const NEEDS_QEMU =
  INSTALLED_VERSION === null && `${PROGRAM} is not installed here (Debian: apt-get install qemu-system-x86)`;

export class RealQemu {
  readonly #process: ChildProcess;
  readonly #folder: string;
  readonly #exit: Promise<number | null>;
  readonly #opened: Qmp[] = [];
  #said = '';

  /** `args`: besides those that make it show nothing, run nothing and listen at `path('qmp')`. */
  constructor(args: (path: (name: string) => string) => readonly string[]) {
    this.#folder = mkdtempSync(join(tmpdir(), 'selfballoon-qemu-'));
    const always = ['-nodefaults', '-no-user-config', '-display', 'none', '-S', '-qmp', listenAt(this.path('qmp'))];
    this.#process = spawnTied(PROGRAM, [...always, ...args((name) => this.path(name))]);
    const note = (chunk: Buffer): void => void (this.#said += chunk.toString());
    this.#process.stdout?.on('data', note);
    this.#process.stderr?.on('data', note);
    this.#exit = new Promise((resolve) => {
      this.#process.once('exit', (code) => {
        resolve(code);
      });
    });
  }

  path(name: string): string {
    return join(this.#folder, name);
  }

  /** Connects, as soon as it listens; afterwards it is closed with it. */
  async connect(options: QmpOptions, name = 'qmp'): Promise<Qmp> {
    const signal = patience();
    for (;;) {
      try {
        const qmp = await connectQmp(this.path(name), options, signal);
        this.#opened.push(qmp);
        return qmp;
      } catch (error) {
        const isEarly = error instanceof QmpError && error.qmpCode === 'EUNAVAILABLE' && !signal.aborted;
        if (!isEarly) throw error;
        if (this.#process.exitCode !== null) throw new Error(`QEMU has ended: ${this.#said}`, { cause: error });
        await setTimeout(5);
      }
    }
  }

  /** Stops its process, all threads of it, or lets it go on. */
  async signal(name: 'STOP' | 'CONT'): Promise<void> {
    this.#process.kill(`SIG${name}`);
    await until('the signal has come', () => this.#states().every((state) => (state === 'T') === (name === 'STOP')));
  }

  /** Of its threads, as `R`, `S`, and `T` for stopped. */
  #states(): readonly string[] {
    const tasks = `/proc/${String(this.#process.pid)}/task`;
    return readdirSync(tasks).map((task) => stateOf(join(tasks, task, 'stat')));
  }

  /** Its exit code, once it has ended; null: a signal has ended it. */
  get exit(): Promise<number | null> {
    return this.#exit;
  }

  /** Ends it, if it has not ended, and removes what it leaves. */
  async close(): Promise<void> {
    for (const qmp of this.#opened) await qmp.close();
    if (this.#process.exitCode === null) this.#process.kill('SIGKILL');
    await this.#exit;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export const listenAt = (path: string): string => `unix:${path},server=on,wait=off`;

/** Empty for a thread that has ended meanwhile. */
function stateOf(path: string): string {
  try {
    return /\) (\w)/.exec(readFileSync(path, 'utf8'))?.[1] ?? '';
  } catch {
    return '';
  }
}
