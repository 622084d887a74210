/** The program under test on this machine, as the host of the lab's guests. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { request } from '../../../src/server/client.js';

const PROGRAM = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));
const LOOK_PAUSE_MS = 250;
const LIMIT_MS = 120_000;
/** Of a command that the daemon did not answer in time. */
const TRIES = 4;
/** More than any test writes, so that it is one file. */
const JOURNAL_MIB = 1_024;

export interface Ended {
  readonly code: number;
  readonly output: string;
}

export interface ShownGuest {
  readonly name: string;
  readonly phase: string;
  readonly currentPages: number | null;
  readonly maximumPages: number | null;
  readonly targetPages: number | null;
  /** Of the last decision. */
  readonly reason: { readonly code: string; readonly detail?: string } | null;
  readonly reading: Reading | null;
}

type Known = 'totalPages' | 'committedPages' | 'reservePages' | 'swapTotalPages' | 'refaultsCount';
type Plugged = 'pluggedPages' | 'plugAskedPages' | 'pluggablePages';

/** What of a guest is known; null where it is not. */
type Reading = Readonly<Record<Known | Plugged, number | null>> & {
  /** When the look was finished: two of the same time are the same look. */
  readonly atMs: number;
  /** Why the newest thing that the guest said of itself was not understood. */
  readonly refusal: string | null;
};

/** What is driven, as its section of the configuration says where it is. */
interface Driven {
  readonly hypervisor: string;
  readonly where: string;
}

const behindMonitors = (monitors: readonly string[]): Driven => ({
  hypervisor: 'qmp',
  where: `sockets = ${JSON.stringify(monitors)}`,
});

export interface HostOptions {
  /** Which part of the way down is gone at a time; default 2, which is quicker than the product's own 8. */
  readonly downHysteresis?: number;
  readonly driven?: Driven;
}

/** A configuration of its own with a journal, and the daemon that is running with it, if one is. */
export class Host {
  readonly #folder = mkdtempSync(join(tmpdir(), 'selfballoon-qemu-host-'));
  readonly #config: string;
  readonly #socket: string;
  readonly #journal: string;
  #daemon: ChildProcess | null = null;
  #log = '';

  constructor(
    monitors: readonly string[],
    { downHysteresis = 2, driven = behindMonitors(monitors) }: HostOptions = {},
  ) {
    this.#config = join(this.#folder, 'selfballoon.toml');
    this.#socket = join(this.#folder, 'socket');
    this.#journal = join(this.#folder, 'journal');
    const lines = [
      `hypervisor = "${driven.hypervisor}"`,
      `socket = "${this.#socket}"`,
      '[journal]',
      `path = "${this.#journal}"`,
      `max_mib = ${JOURNAL_MIB}`,
      '[tunables]',
      'selfballoon_interval = 1',
      `selfballoon_downhysteresis = ${downHysteresis}`,
      `[${driven.hypervisor}]`,
      driven.where,
      'reserve_mib = 64',
    ];
    writeFileSync(this.#config, `${lines.join('\n')}\n`);
  }

  /** The same for the domains of a libvirt. */
  static ofLibvirt(uri: string, options: HostOptions = {}): Host {
    return new Host([], { ...options, driven: { hypervisor: 'libvirt', where: `uri = ${JSON.stringify(uri)}` } });
  }

  start(): void {
    const daemon = spawn(process.execPath, [PROGRAM, 'run', '--no-table', '--config', this.#config]);
    for (const stream of [daemon.stdout, daemon.stderr]) {
      stream.on('data', (chunk: Buffer) => (this.#log += chunk.toString()));
    }
    this.#daemon = daemon;
  }

  get log(): string {
    return this.#log;
  }

  /** Runs a command of the program. */
  ask(...words: readonly string[]): Promise<Ended> {
    return new Promise((resolve) => {
      execFile(process.execPath, [PROGRAM, ...words, '--config', this.#config], (error, out, err) => {
        resolve({ code: error === null ? 0 : Number(error.code), output: out + err });
      });
    });
  }

  /** Writes a tunable. On a busy machine the daemon may take longer to answer than the command waits; then it is told again. */
  async set(name: string, value: number): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      const { code, output } = await this.ask('set', name, String(value));
      if (code === 0) return;
      if (tries === TRIES || !output.includes('did not answer in time'))
        throw new Error(`${name} was not set, which ended with ${code}: ${output}`);
    }
  }

  /** What all daemons of this configuration have written so far. */
  get journal(): string {
    return existsSync(this.#journal) ? readFileSync(this.#journal, 'utf8') : '';
  }

  /** Memory that the running daemon holds, in MiB. */
  get residentMib(): number {
    const text = readFileSync(`/proc/${this.#daemon?.pid ?? 0}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(text)?.[1] ?? NaN) / 1_024;
  }

  /** What the daemon shows of a guest; null while it does not answer or does not know it. */
  async shown(name: string): Promise<ShownGuest | null> {
    return named(name, await this.#allShown());
  }

  /** Null while the daemon does not answer. */
  async #allShown(): Promise<readonly ShownGuest[] | null> {
    try {
      const { body } = await request(this.#socket, 'GET', '/v1/status');
      const { guests } = JSON.parse(body) as { readonly guests?: readonly ShownGuest[] };
      return guests ?? null;
    } catch {
      return null;
    }
  }

  /** Waits until what is shown of the guest is as it should be. Throws with the log when the time is over. */
  async until(
    name: string,
    what: string,
    isSo: (guest: ShownGuest) => boolean,
    limitMs = LIMIT_MS,
  ): Promise<ShownGuest> {
    const end = Date.now() + limitMs;
    for (let guest = await this.shown(name); ; guest = await this.shown(name)) {
      if (guest !== null && isSo(guest)) return guest;
      if (Date.now() > end) throw new Error(`${what} did not come about; ${JSON.stringify(guest)}\n${this.#log}`);
      await sleep(LOOK_PAUSE_MS);
    }
  }

  /** Waits until the daemon answers, and knows no such guest. Throws with the log when the time is over. */
  async untilDropped(name: string, limitMs = LIMIT_MS): Promise<void> {
    const end = Date.now() + limitMs;
    for (let all = await this.#allShown(); all === null || named(name, all) !== null; all = await this.#allShown()) {
      if (Date.now() > end) throw new Error(`${name} was not dropped; ${JSON.stringify(all)}\n${this.#log}`);
      await sleep(LOOK_PAUSE_MS);
    }
  }

  /** Waits until the daemon has said so, beyond the log's first `from` characters. Throws with the log when the time is over. */
  async untilLogged(pattern: RegExp, { from = 0, limitMs = LIMIT_MS } = {}): Promise<void> {
    const end = Date.now() + limitMs;
    while (!pattern.test(this.#log.slice(from))) {
      if (Date.now() > end) throw new Error(`${String(pattern)} was not logged\n${this.#log}`);
      await sleep(LOOK_PAUSE_MS);
    }
  }

  /** Ends the daemon and waits until it has ended. */
  async end(signal: NodeJS.Signals): Promise<void> {
    const daemon = this.#daemon;
    this.#daemon = null;
    if (daemon === null) return;
    const ended = once(daemon, 'exit');
    daemon.kill(signal);
    await ended;
  }

  async close(): Promise<void> {
    await this.end('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

const named = (name: string, guests: readonly ShownGuest[] | null): ShownGuest | null =>
  guests?.find((guest) => guest.name === name) ?? null;
