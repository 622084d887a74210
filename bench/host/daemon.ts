/** The daemon that is measured: the built program as a process of its own. What it takes is read from `/proc`. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawnTied } from '../../lab/tied-process.js';
import { parseLook, parseRollup } from '../overhead.js';
import { INTERVAL_MS, type MemoryUse } from './figures.js';

const PROGRAM = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
/** What it has said is kept for a failure's message, so much of it. */
const SAID_CHARACTERS_MAX = 2_000;
/** For giving everything back. */
const END_LIMIT_MS = 60_000;

export class Daemon {
  readonly #process: ChildProcess;
  #said = '';

  /** Starts it with the configuration file `config`. `nodeFlags`: for Node.js itself. */
  constructor(config: string, nodeFlags: readonly string[] = []) {
    this.#process = spawnTied(process.execPath, [...nodeFlags, PROGRAM, 'run', '--no-table', '--config', config]);
    const keep = (chunk: Buffer): void =>
      void (this.#said = (this.#said + chunk.toString()).slice(-SAID_CHARACTERS_MAX));
    this.#process.stdout?.on('data', keep);
    this.#process.stderr?.on('data', keep);
  }

  /** User and system time of all its threads since its start. Throws when it has ended. */
  get cpuMs(): number {
    return parseLook(this.#read('smaps_rollup'), this.#read('stat')).cpuMs;
  }

  get memory(): MemoryUse {
    const rollup = this.#read('smaps_rollup');
    const peak = /^VmHWM:\s+(\d+) kB$/m.exec(this.#read('status'))?.[1];
    return {
      rssKib: parseRollup(rollup, 'Rss'),
      pssKib: parseRollup(rollup, 'Pss'),
      privateKib: parseRollup(rollup, 'Anonymous'),
      rssPeakKib: Number(peak),
    };
  }

  /** Rejects when it ends, with what it said. */
  async failure(): Promise<never> {
    await once(this.#process, 'exit');
    throw new Error(`the daemon has ended, and said:\n${this.#said}`);
  }

  /** Tells it to end, and waits for it. Rejects when it does not. */
  async end(): Promise<void> {
    if (this.#hasEnded) return;
    const ended = once(this.#process, 'exit', { signal: AbortSignal.timeout(END_LIMIT_MS) });
    this.#process.kill('SIGTERM');
    await ended;
  }

  /** Ends it at once, if it has not ended. */
  kill(): void {
    if (!this.#hasEnded) this.#process.kill('SIGKILL');
  }

  get #hasEnded(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  #read(file: string): string {
    if (this.#hasEnded) throw new Error(`the daemon has ended, and said:\n${this.#said}`);
    return readFileSync(`/proc/${String(this.#process.pid)}/${file}`, 'utf8');
  }
}

/** Writes the configuration for the monitors in `folder`, where the daemon's socket is then too, and returns its file. `pid` listens on them. */
export function configureHost(folder: string, pid: number): string {
  const config = join(folder, 'selfballoon.toml');
  writeFileSync(config, configFor(folder, pid));
  return config;
}

/** A host that has the memory of all its guests: what it lacked would be kept from them, which is another work. */
const HOST_KIB = 2 ** 33;

/** The folder that has the host's `proc` in it. A made-up host, so that this machine's memory does not matter. */
function makeRoot(folder: string, pid: number): string {
  const root = join(folder, 'root');
  mkdirSync(join(root, 'proc'), { recursive: true });
  const figure = (name: string): string => `${`${name}:`.padEnd(16)} ${HOST_KIB} kB\n`;
  writeFileSync(join(root, 'proc', 'meminfo'), ['MemTotal', 'MemFree', 'MemAvailable'].map(figure).join(''));
  // All machines are one process here, which is looked at for each of them, and has all the memory that any could have.
  mkdirSync(join(root, 'proc', String(pid)));
  writeFileSync(join(root, 'proc', String(pid), 'status'), `Name:\tqemu-system-x86\nVmRSS:\t ${HOST_KIB} kB\n`);
  return root;
}

/** Names of folders are quoted as in JSON, which TOML understands. */
const configFor = (folder: string, pid: number): string => `hypervisor = "qmp"
socket = ${JSON.stringify(join(folder, 'selfballoon.sock'))}
[tunables]
selfballoon_interval = ${INTERVAL_MS / 1_000}
[qmp]
sockets = [${JSON.stringify(join(folder, '*.qmp'))}]
reserve_mib = 0
[xen_guest]
root = ${JSON.stringify(makeRoot(folder, pid))}
`;
