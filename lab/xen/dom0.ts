/** The initial domain of the Xen lab: Xen's own tools, and the program under test in /app. */
import { startInBackground, type Background } from './background.js';
import { startDaemon, type Daemon, type DaemonOptions } from './daemon.js';
import type { Machine } from './machine.js';
import { openDom0Shell, type Shell } from './shell.js';

export class Dom0 {
  readonly shell: Shell;
  /** Runs a shell command in dom0; see `Shell`. */
  readonly run: Shell['run'];
  readonly tryRun: Shell['tryRun'];
  readonly waitUntil: Shell['waitUntil'];
  readonly readFile: Shell['readFile'];

  constructor(machine: Machine) {
    this.shell = openDom0Shell(machine);
    this.run = this.shell.run;
    this.tryRun = this.shell.tryRun;
    this.waitUntil = this.shell.waitUntil;
    this.readFile = this.shell.readFile;
  }

  /** Starts the program under test in dom0. */
  start(options: DaemonOptions): Promise<Daemon> {
    return startDaemon(this.shell, options);
  }

  /** Starts any other program in the background; its output goes to `/run/NAME.log`. */
  startProgram(command: string, name: string): Promise<Background> {
    return startInBackground(this.shell, command, `/run/${name}.log`);
  }

  /** What Xen says a domain holds, in KiB, from `xl`: it shows whole MiB, rounded down. */
  async heldKib(domain: number): Promise<number> {
    const lines = (await this.run(`xl list ${domain}`)).trim().split('\n');
    const mib = Number(lines.at(-1)?.trim().split(/\s+/)[2]);
    if (!Number.isInteger(mib)) throw new Error(`xl list says nothing of domain ${domain}: ${lines.join('\n')}`);
    return mib * 1024;
  }

  /** All domains by name, dom0 too, in the order of their letters, from `xl`. */
  async domainNames(): Promise<readonly string[]> {
    const [, ...lines] = (await this.run('xl list')).trim().split('\n');
    return lines.map((line) => line.split(/\s+/)[0] ?? '').sort();
  }

  /** Memory that no domain holds and that is not free either: Xen's own, and what it has not cleaned yet. In MiB. */
  async unaccountedMib(): Promise<number> {
    const held = "xl list | awk 'NR > 1 { sum += $3 } END { print sum }'";
    const text = await this.run(`${held}; xl info | awk '/^(total|free)_memory/ { print $3 }'`);
    const [domains = NaN, total = NaN, free = NaN] = text.trim().split('\n').map(Number);
    return total - domains - free;
  }

  /** Memory that Xen has free, in MiB. */
  async freeMib(): Promise<number> {
    return Number(/^free_memory\s*:\s*(\d+)/m.exec(await this.run('xl info'))?.[1]);
  }
}
