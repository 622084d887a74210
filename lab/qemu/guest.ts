/**
 * One guest of the QEMU lab: a real QEMU, emulated, with Debian's kernel, a balloon that deflates on OOM, and a monitor for the program
 * under test.
 *
 *     const guest = await QemuGuest.boot(image, { name: 'web', memoryMib: 512, folder });
 *     await guest.run('cat /proc/meminfo');
 *     await guest.close();
 */
import type { ChildProcess } from 'node:child_process';
import { createWriteStream, readFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { endWhenAbandoned } from '../abandoned.js';
import { spawnTied } from '../tied-process.js';
import { escapeForPrintf } from '../xen/agent/escape.js';
import { PORT_NAME, type QemuImage } from './image.js';

export interface QemuGuestOptions {
  readonly name: string;
  readonly memoryMib: number;
  /** Whether the guest tells its host of pages that it does not use, so that they need not be kept: default false. */
  readonly reportsFreePages?: boolean;
  /** Of this run, for its sockets and its console's log. */
  readonly folder: string;
}

/** How a command ended, with its output on either stream. */
export interface Ran {
  readonly code: number;
  readonly output: string;
}

export const EMULATOR = 'qemu-system-x86_64';
/** Seen: 5 s on a quiet machine of 2 cores. */
const UP_LIMIT_MS = 120_000;
const COMMAND_LIMIT_MS = 120_000;
const CONNECT_TRIES = 200;
const CONNECT_PAUSE_MS = 100;

interface Pending {
  readonly finish: (ran: Ran) => void;
  readonly lines: string[];
}

export class QemuGuest {
  /** The monitor's socket, for the program under test. */
  readonly monitor: string;
  readonly #process: ChildProcess;
  readonly #log: string;
  readonly #ended: Promise<void>;
  readonly #pending = new Map<number, Pending>();
  #current: Pending | null = null;
  #port: Socket | null = null;
  #lastId = 0;
  #isUp: () => void = () => undefined;

  private constructor(image: QemuImage, options: QemuGuestOptions) {
    const { name, folder } = options;
    this.monitor = join(folder, `${name}.qmp`);
    this.#log = join(folder, `${name}.log`);
    this.#process = spawnTied(EMULATOR, argumentsOf(image, options, this.monitor));
    const log = createWriteStream(this.#log);
    this.#process.stdout?.pipe(log);
    this.#process.stderr?.pipe(log);
    this.#ended = new Promise((resolve) => {
      this.#process.once('error', () => {
        resolve();
      });
      this.#process.once('exit', () => {
        resolve();
      });
    });
  }

  /** Resolves when the guest takes commands. The emulator ends with this process, whatever ends it. */
  static async boot(image: QemuImage, options: QemuGuestOptions): Promise<QemuGuest> {
    endWhenAbandoned();
    const guest = new QemuGuest(image, options);
    try {
      const up = new Promise<void>((resolve) => (guest.#isUp = resolve));
      await guest.#connect(portPath(options));
      await guest.#within(up, UP_LIMIT_MS, 'the guest was not up');
      return guest;
    } catch (error) {
      await guest.close();
      throw error;
    }
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Memory of this machine that the emulator holds, in MiB: the guest's, and some 60 MiB of its own. */
  get residentMib(): number {
    const text = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(text)?.[1]) / 1024;
  }

  async tryRun(command: string, limitMs = COMMAND_LIMIT_MS): Promise<Ran> {
    const id = (this.#lastId += 1);
    const ran = new Promise<Ran>((resolve) => {
      this.#pending.set(id, { finish: resolve, lines: [] });
      this.#port?.write(`${id} ${escapeForPrintf(command)}\n`);
    });
    try {
      return await this.#within(ran, limitMs, `the guest did not answer: ${command}`);
    } finally {
      this.#pending.delete(id);
    }
  }

  /** Runs a shell command and returns what it printed; throws with that when it fails. */
  async run(command: string, limitMs?: number): Promise<string> {
    const { code, output } = await this.tryRun(command, limitMs);
    if (code !== 0) throw new Error(`${command} ended with ${code}:\n${output}`);
    return output;
  }

  /** `STOP` and `CONT` among others, to QEMU itself. */
  signal(name: NodeJS.Signals): void {
    process.kill(this.pid, name);
  }

  /** Ends the machine; resolves when the emulator has ended. */
  async close(): Promise<void> {
    this.#port?.destroy();
    this.#process.kill('SIGKILL');
    await this.#ended;
  }

  async #connect(path: string): Promise<void> {
    for (let tries = 0; tries < CONNECT_TRIES && this.#port === null; tries += 1) {
      await sleep(CONNECT_PAUSE_MS);
      this.#port = await tryConnect(path);
    }
    if (this.#port === null) throw this.#trouble('the emulator did not open its port');
    createInterface({ input: this.#port })
      .on('line', (line) => {
        this.#take(line.trim());
      })
      .on('error', () => undefined);
  }

  #take(line: string): void {
    const [, mark, id, code] = /^@@(UP|B|E) ?(\d*) ?(\d*)/.exec(line) ?? [];
    const pending = this.#pending.get(Number(id)) ?? null;
    if (mark === undefined) this.#current?.lines.push(line);
    if (mark === 'UP') this.#isUp();
    if (mark === 'B') this.#current = pending;
    if (mark !== 'E') return;
    this.#current = null;
    pending?.finish({ code: Number(code), output: Buffer.from(pending.lines.join(''), 'base64').toString() });
  }

  async #within<T>(work: Promise<T>, limitMs: number, what: string): Promise<T> {
    const waiting = new AbortController();
    const tooLate = sleep(limitMs, undefined, { signal: waiting.signal }).then(() => {
      throw this.#trouble(`${what} within ${limitMs / 1_000} s`);
    });
    const ended = this.#ended.then(() => {
      throw this.#trouble('the emulator has ended');
    });
    for (const other of [tooLate, ended]) other.catch(() => undefined);
    try {
      return await Promise.race([work, tooLate, ended]);
    } finally {
      waiting.abort();
    }
  }

  #trouble(what: string): Error {
    return new Error(
      `${what}; its console says:\n${readFileSync(this.#log, 'utf8').split('\n').slice(-15).join('\n')}`,
    );
  }
}

const portPath = ({ folder, name }: QemuGuestOptions): string => join(folder, `${name}.port`);

function argumentsOf(image: QemuImage, options: QemuGuestOptions, monitor: string): readonly string[] {
  const reporting = options.reportsFreePages === true ? 'on' : 'off';
  return [
    ...['-accel', 'tcg', '-cpu', 'max', '-smp', '1', '-m', String(options.memoryMib), '-name', options.name],
    ...['-display', 'none', '-serial', 'stdio', '-monitor', 'none', '-no-reboot', '-nic', 'none', '-nodefaults'],
    ...['-kernel', image.kernel, '-initrd', image.initrd, '-append', 'console=ttyS0 quiet psi=1'],
    ...['-device', `virtio-balloon-pci,id=balloon0,deflate-on-oom=on,free-page-reporting=${reporting}`],
    ...['-device', 'virtio-serial-pci', '-chardev', `socket,id=lab,path=${portPath(options)},server=on,wait=off`],
    ...['-device', `virtserialport,chardev=lab,name=${PORT_NAME}`],
    ...['-qmp', `unix:${monitor},server=on,wait=off`],
  ];
}

function tryConnect(path: string): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.once('connect', () => {
      socket.on('error', () => undefined);
      resolve(socket);
    });
    socket.once('error', () => {
      resolve(null);
    });
  });
}
