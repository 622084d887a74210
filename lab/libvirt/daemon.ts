/**
 * A libvirtd of our own: one of an ordinary user, with everything that it keeps in one folder. It knows nothing of the system's libvirt,
 * needs neither virtlogd nor D-Bus, and cannot outlive this process; the emulators that it starts cannot either.
 *
 *     const libvirtd = await PrivateLibvirtd.start(folder);
 *     await libvirtd.virsh('list');
 *     await libvirtd.kill(); await libvirtd.run();    // domains go on meanwhile
 *     await libvirtd.close();
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { endWhenAbandoned } from '../abandoned.js';
import { spawnTied } from '../tied-process.js';
import { findCommand, runTool } from '../tool.js';

/** What a run needs of this machine (Debian: libvirt-daemon, libvirt-daemon-driver-qemu, libvirt-clients). */
export const LIBVIRT_TOOLS = ['libvirtd', 'virsh', 'setpriv', 'qemu-system-x86_64'];
export const LIBVIRT_PACKAGES = ['libvirt-daemon', 'libvirt-daemon-driver-qemu', 'libvirt-clients'] as const;

/** root's libvirtd is always the system's, whose folders cannot be moved. So as root it runs as nobody. */
const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;

/** Seen: 0.5 s; the first time it asks the emulator what it can do, 2 s. */
const UP_TRIES = 300;
const UP_PAUSE_MS = 100;

/** Reads until whoever holds the other end is gone, and then ends the emulators of the domains that are left. */
const GUARD = 'read -r _; for f in "$0"/*.pid; do [ -e "$f" ] && kill -9 "$(cat "$f")"; done';

export class PrivateLibvirtd {
  readonly #folder: string;
  readonly #guard: ChildProcess;
  #process: ChildProcess | null = null;

  private constructor(folder: string) {
    this.#folder = folder;
    this.#guard = spawn('sh', ['-c', GUARD, this.#pidFolder], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  }

  /** Starts one in a folder of this run, which may be there already. As root, whatever is in it is nobody's from then on. */
  static async start(folder: string): Promise<PrivateLibvirtd> {
    endWhenAbandoned();
    for (const name of ['run', 'cache', 'data', 'config/libvirt']) mkdirSync(join(folder, name), { recursive: true });
    // Otherwise it starts a virtlogd, which would be left.
    writeFileSync(join(folder, 'config', 'libvirt', 'qemu.conf'), 'stdio_handler = "file"\n');
    if (isRoot) await runTool('chown', ['-R', `${NOBODY}:${NOBODY}`, folder]);
    const libvirtd = new PrivateLibvirtd(folder);
    try {
      await libvirtd.run();
      return libvirtd;
    } catch (error) {
      await libvirtd.close();
      throw error;
    }
  }

  get #socket(): string {
    return join(this.#folder, 'run', 'libvirt', 'libvirt-sock');
  }

  /** Where libvirt writes down the process ids of its emulators, by their domains' names. */
  get #pidFolder(): string {
    return join(this.#folder, 'run', 'libvirt', 'qemu', 'run');
  }

  /** For `virsh -c` of any user of this machine that may open the socket. */
  get uri(): string {
    return `qemu+unix:///session?socket=${this.#socket}`;
  }

  /** Starts it, when it does not run. Resolves when it answers. */
  async run(): Promise<void> {
    const user = isRoot ? [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] : [];
    const folders = ['run', 'config', 'cache', 'data'].map((name) => join(this.#folder, name));
    const [run = '', config = '', cache = '', data = ''] = folders;
    const variables = [
      ...[`HOME=${this.#folder}`, `XDG_RUNTIME_DIR=${run}`, `XDG_CONFIG_HOME=${config}`],
      ...[`XDG_CACHE_HOME=${cache}`, `XDG_DATA_HOME=${data}`, 'LC_ALL=C'],
    ];
    // A change of user forgets who is to be killed with whom, so it is said again.
    const command = [...user, '--pdeathsig', 'KILL', 'env', ...variables, findCommand('libvirtd') ?? 'libvirtd'];
    const started = spawnTied('setpriv', command);
    const log = createWriteStream(join(this.#folder, 'libvirtd.log'), { flags: 'a' });
    for (const stream of [started.stdout, started.stderr]) stream?.pipe(log, { end: false });
    this.#process = started;
    await this.#untilUp(started);
  }

  async #untilUp(started: ChildProcess): Promise<void> {
    for (let tries = 0; tries < UP_TRIES && started.exitCode === null; tries += 1) {
      if (await this.virsh('uri').catch(() => null)) return;
      await sleep(UP_PAUSE_MS);
    }
    const log = readFileSync(join(this.#folder, 'libvirtd.log'), 'utf8');
    throw new Error(`libvirtd does not answer; its log says:\n${log.split('\n').slice(-15).join('\n')}`);
  }

  /** Kills it. Its domains go on. */
  async kill(): Promise<void> {
    const killed = this.#process;
    this.#process = null;
    if (killed === null || killed.exitCode !== null || killed.signalCode !== null) return;
    const ended = once(killed, 'exit');
    killed.kill('SIGKILL');
    await ended;
  }

  /** Runs a command of virsh and returns what it prints; throws with that when it fails. */
  virsh(...words: readonly string[]): Promise<string> {
    return runTool('virsh', ['-q', '-c', this.uri, ...words], { env: { LIBVIRT_AUTOSTART: '0' } });
  }

  /** The emulator of a domain that runs. */
  pidOf(domain: string): number {
    return Number(readFileSync(join(this.#pidFolder, `${domain}.pid`), 'utf8'));
  }

  /** Ends it and all of its domains. */
  async close(): Promise<void> {
    await this.kill();
    const names = existsSync(this.#pidFolder) ? readdirSync(this.#pidFolder) : [];
    const domains = names.filter((name) => name.endsWith('.pid') && name !== 'driver.pid');
    for (const name of domains) end(this.pidOf(name.slice(0, -'.pid'.length)));
    this.#guard.kill('SIGKILL');
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
