/** One paravirtual guest of the Xen lab. */
import { startInBackground, type Background } from './background.js';
import { startDaemon, type Daemon, type DaemonOptions } from './daemon.js';
import type { Dom0 } from './dom0.js';
import type { Machine } from './machine.js';
import { openGuestShell, type GuestLink, type Shell } from './shell.js';

/** Seen: 8 s on a quiet machine. Several at once on a busy one take their time. */
const UP_LIMIT_MS = 240_000;

export class XenGuest {
  readonly #dom0: Dom0;
  readonly #shell: Shell;
  /** Its name in Xen, and its host name. */
  readonly name: string;
  readonly domain: number;
  /** Runs a shell command in the guest; see `Shell`. */
  readonly run: Shell['run'];
  readonly tryRun: Shell['tryRun'];
  readonly waitUntil: Shell['waitUntil'];
  readonly readFile: Shell['readFile'];

  constructor(machine: Machine, dom0: Dom0, link: GuestLink) {
    this.#dom0 = dom0;
    this.name = link.name;
    this.domain = link.console.domain;
    this.#shell = openGuestShell(machine, dom0.shell, link);
    this.run = this.#shell.run;
    this.tryRun = this.#shell.tryRun;
    this.waitUntil = this.#shell.waitUntil;
    this.readFile = this.#shell.readFile;
  }

  /** Starts the program under test in the guest. */
  start(options: DaemonOptions): Promise<Daemon> {
    return startDaemon(this.#shell, options);
  }

  /** Starts any other program in the background; its output goes to `/run/NAME.log`. */
  startProgram(command: string, name: string): Promise<Background> {
    return startInBackground(this.#shell, command, `/run/${name}.log`);
  }

  /** All that the guest wrote on its console since it was created: its kernel's words, and packed answers to commands. */
  console(): Promise<string> {
    return this.#dom0.run(`cat /var/log/xen/console/guest-${this.name}.log`);
  }

  /** What the guest's kernel has logged. */
  kernelLog(): Promise<string> {
    return this.run('dmesg');
  }

  /** What Xen itself says the guest holds, in KiB. */
  heldKib(): Promise<number> {
    return this.#dom0.heldKib(this.domain);
  }

  /** Resolves when the guest takes commands. */
  async waitUntilUp(): Promise<void> {
    const sign = `grep -q '@@UP ${this.name}' /var/log/xen/console/guest-${this.name}.log`;
    try {
      await this.#dom0.waitUntil(sign, { what: `the guest ${this.name}`, limitMs: UP_LIMIT_MS });
    } catch (error) {
      throw new Error(`${String(error)}; its console says:\n${await this.console()}`, { cause: error });
    }
  }

  /** Ends the guest at once, if it is still there; its memory goes back to Xen. */
  async destroy(): Promise<void> {
    const { domain } = this;
    await this.#dom0.run(`if xl list ${domain} >/dev/null 2>&1; then xl destroy ${domain}; fi`);
  }
}
