/** The program under test on this machine, as the host of the lab's guests. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));
const LOOK_PAUSE_MS = 250;

export interface Ended {
  readonly code: number;
  readonly output: string;
}

export interface ShownGuest {
  readonly name: string;
  readonly phase: string;
  readonly currentPages: number | null;
  readonly targetPages: number | null;
  /** Of the last decision. */
  readonly reason: { readonly code: string } | null;
  readonly reading: Reading | null;
}

type Known = 'totalPages' | 'committedPages' | 'reservePages' | 'swapTotalPages' | 'refaultsCount';
type Plugged = 'pluggedPages' | 'plugAskedPages' | 'pluggablePages';

/** What of a guest is known; null where it is not. */
type Reading = Readonly<Record<Known | Plugged, number | null>>;

/** What is driven, as its section of the configuration says where it is. */
interface Driven {
  readonly hypervisor: string;
  readonly where: string;
}

const behindMonitors = (monitors: readonly string[]): Driven => ({
  hypervisor: 'qmp',
  where: `sockets = ${JSON.stringify(monitors)}`,
});

/** A configuration of its own, and the daemon that is running with it, if one is. */
export class Host {
  readonly #folder = mkdtempSync(join(tmpdir(), 'selfballoon-qemu-host-'));
  readonly #config: string;
  #daemon: ChildProcess | null = null;
  #log = '';

  constructor(monitors: readonly string[], driven = behindMonitors(monitors)) {
    this.#config = join(this.#folder, 'selfballoon.toml');
    const lines = [
      `hypervisor = "${driven.hypervisor}"`,
      `socket = "${join(this.#folder, 'socket')}"`,
      '[tunables]',
      'selfballoon_interval = 1',
      'selfballoon_downhysteresis = 2',
      `[${driven.hypervisor}]`,
      driven.where,
      'reserve_mib = 64',
    ];
    writeFileSync(this.#config, `${lines.join('\n')}\n`);
  }

  /** The same for the domains of a libvirt. */
  static ofLibvirt(uri: string): Host {
    return new Host([], { hypervisor: 'libvirt', where: `uri = ${JSON.stringify(uri)}` });
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

  /** What the daemon shows of a guest; null while it does not answer or does not know it. */
  async shown(name: string): Promise<ShownGuest | null> {
    const { code, output } = await this.ask('status', '--json');
    if (code !== 0) return null;
    const { guests } = JSON.parse(output) as { readonly guests: readonly ShownGuest[] };
    return guests.find((guest) => guest.name === name) ?? null;
  }

  /** Waits until what is shown of the guest is as it should be. Throws with the log when the time is over. */
  async until(
    name: string,
    what: string,
    isSo: (guest: ShownGuest) => boolean,
    limitMs = 120_000,
  ): Promise<ShownGuest> {
    const end = Date.now() + limitMs;
    for (let guest = await this.shown(name); ; guest = await this.shown(name)) {
      if (guest !== null && isSo(guest)) return guest;
      if (Date.now() > end) throw new Error(`${what} did not come about; ${JSON.stringify(guest)}\n${this.#log}`);
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
