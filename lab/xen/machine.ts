/** The emulated machine on which Xen runs, and the way to talk to dom0's agent in it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { XenImages } from './images.js';
import { PORT_NAME, type LabAnswer, type LabRequest } from './protocol.js';

export interface MachineOptions {
  readonly images: XenImages;
  readonly guestImage: string;
  readonly payloadImage: string;
  /** A folder of this run, for its socket and its console's log. */
  readonly folder: string;
  readonly memoryMib: number;
  readonly dom0Mib: number;
}

/** Seen: 10 s on a quiet machine of 2 cores, 40 s on a busy one. */
const UP_LIMIT_MS = 300_000;
const CONNECT_TRIES = 200;
const CONNECT_PAUSE_MS = 100;

type RequestBody = LabRequest extends infer R ? (R extends LabRequest ? Omit<R, 'id'> : never) : never;

export class Machine {
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, (answer: { readonly code: number; readonly output: string }) => void>();
  #socket: Socket | null = null;
  #lastId = 0;
  #hello: (() => void) | null = null;

  constructor(options: MachineOptions) {
    this.#process = spawn('qemu-system-x86_64', qemuArguments(options), { stdio: ['ignore', 'pipe', 'pipe'] });
    const log = createWriteStream(join(options.folder, 'console.log'));
    this.#process.stdout?.pipe(log);
    this.#process.stderr?.pipe(log);
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Boots Xen and dom0; resolves when dom0's agent answers. */
  static async boot(options: MachineOptions): Promise<Machine> {
    const machine = new Machine(options);
    const isUp = new Promise<void>((resolve) => (machine.#hello = resolve));
    try {
      await machine.#connect(join(options.folder, 'lab.sock'));
      await Promise.race([
        isUp,
        sleep(UP_LIMIT_MS, undefined, { ref: false }).then(() => failUp(options)),
        machine.#died(),
      ]);
      return machine;
    } catch (error) {
      await machine.close();
      throw error;
    }
  }

  request(body: RequestBody): Promise<{ readonly code: number; readonly output: string }> {
    const id = (this.#lastId += 1);
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#socket?.write(`${JSON.stringify({ ...body, id })}\n`);
    });
  }

  async close(): Promise<void> {
    this.#socket?.destroy();
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGKILL');
    await ended;
  }

  async #connect(path: string): Promise<void> {
    for (let tries = 0; tries < CONNECT_TRIES && this.#socket === null; tries += 1) {
      await sleep(CONNECT_PAUSE_MS);
      this.#socket = await tryConnect(path);
    }
    if (this.#socket === null) throw new Error('the emulator did not open its port');
    createInterface({ input: this.#socket }).on('line', (line) => {
      this.#take(JSON.parse(line) as LabAnswer);
    });
  }

  #take(answer: LabAnswer): void {
    if ('hello' in answer) {
      this.#hello?.();
      return;
    }
    this.#waiting.get(answer.id)?.(answer);
    this.#waiting.delete(answer.id);
  }

  #died(): Promise<never> {
    return new Promise((_, reject) => {
      this.#process.once('exit', (code) => {
        reject(new Error(`the emulator ended with ${code ?? 'a signal'} before dom0 was up`));
      });
    });
  }
}

function failUp({ folder }: MachineOptions): never {
  throw new Error(`dom0 was not up within ${UP_LIMIT_MS / 1000} s; see ${folder}/console.log`);
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

function qemuArguments(options: MachineOptions): readonly string[] {
  const { images, folder } = options;
  const drives = [images.dom0Root, options.payloadImage, options.guestImage].flatMap((file, n) => [
    ...['-drive', `file=${file},if=none,id=d${n},format=raw,snapshot=on`],
    ...['-device', `nvme,drive=d${n},serial=lab${n}`],
  ]);
  return [
    // Without the two minus signs dom0 crashes at its first instruction under software emulation.
    ...['-accel', 'tcg,thread=multi', '-cpu', 'max,-smap,-smep', '-smp', '2', '-m', String(options.memoryMib)],
    ...['-display', 'none', '-serial', 'stdio', '-monitor', 'none', '-no-reboot', '-nic', 'none'],
    ...[
      '-kernel',
      images.xen,
      '-append',
      `console=com1 com1=115200 dom0_mem=${options.dom0Mib}M,max:${options.dom0Mib}M loglvl=warning noreboot`,
    ],
    ...['-initrd', `${images.kernel.image} console=hvc0 quiet,${images.dom0Initrd}`],
    ...drives,
    ...[
      '-device',
      'virtio-serial-pci',
      '-chardev',
      `socket,id=lab,path=${join(folder, 'lab.sock')},server=on,wait=off`,
    ],
    ...['-device', `virtserialport,chardev=lab,name=${PORT_NAME}`],
  ];
}
