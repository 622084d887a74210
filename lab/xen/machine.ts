/** The emulated machine on which Xen runs, and the way to talk to dom0's agent in it. */
import type { ChildProcess } from 'node:child_process';
import { createWriteStream, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { endWhenAbandoned } from '../abandoned.js';
import { tryConnect } from '../connect.js';
import { spawnTied } from '../tied-process.js';
import { EMULATOR, emulatorArguments, socketPath, type MachineOptions } from './emulator.js';
import type { LabAnswer, LabRequest, Ran } from './protocol.js';

/** Seen: 10 s on a quiet machine of 2 cores, 40 s on a busy one. */
const UP_LIMIT_MS = 240_000;
const CONNECT_TRIES = 200;
const CONNECT_PAUSE_MS = 100;
/** The agent keeps to a command's limit itself; this much later the agent is given up. */
const ANSWER_GRACE_MS = 60_000;

/** Of the console, in errors. */
const CONSOLE_LINES = 15;

const consolePath = ({ folder }: MachineOptions): string => join(folder, 'console.log');

interface Waiting {
  readonly resolve: (ran: Ran) => void;
  readonly reject: (error: Error) => void;
}

export class Machine {
  readonly #options: MachineOptions;
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  readonly #ended: Promise<void>;
  #socket: Socket | null = null;
  #lastId = 0;
  #hello: (() => void) | null = null;

  private constructor(options: MachineOptions) {
    this.#options = options;
    this.#process = spawnTied(EMULATOR, emulatorArguments(options));
    const log = createWriteStream(consolePath(options));
    this.#process.stdout?.pipe(log);
    this.#process.stderr?.pipe(log);
    this.#ended = new Promise((resolve) => {
      this.#process.once('error', () => {
        resolve();
      });
      this.#process.once('exit', () => {
        this.#failAll('the emulator has ended');
        resolve();
      });
    });
  }

  /** Boots Xen and dom0; resolves when dom0's agent answers. The emulator ends with this process, whatever ends it. */
  static async boot(options: MachineOptions): Promise<Machine> {
    endWhenAbandoned();
    const machine = new Machine(options);
    const limit = new AbortController();
    try {
      const isUp = new Promise<void>((resolve) => (machine.#hello = resolve));
      await machine.#connect();
      await Promise.race([isUp, machine.#hasEnded(), tooSlow(options, limit.signal)]);
      return machine;
    } catch (error) {
      await machine.close();
      throw error;
    } finally {
      limit.abort();
    }
  }

  /** Settles within the request's limit and a minute: rejects when the agent does not answer or the machine is gone. */
  request(body: Omit<LabRequest, 'id'>): Promise<Ran> {
    const id = (this.#lastId += 1);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.get(id)?.reject(this.#trouble(`dom0's agent did not answer: ${body.command}`));
      }, body.limitMs + ANSWER_GRACE_MS);
      const settled = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(id);
      };
      this.#waiting.set(id, {
        resolve: (ran) => {
          settled();
          resolve(ran);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      });
      this.#socket?.write(`${JSON.stringify({ ...body, id })}\n`);
    });
  }

  /** Ends the machine and everything in it; resolves when the emulator has ended. */
  async close(): Promise<void> {
    this.#socket?.destroy();
    this.#process.kill('SIGKILL');
    await this.#ended;
  }

  async #connect(): Promise<void> {
    for (let tries = 0; tries < CONNECT_TRIES && this.#socket === null; tries += 1) {
      await sleep(CONNECT_PAUSE_MS);
      this.#socket = await tryConnect(socketPath(this.#options));
    }
    if (this.#socket === null) throw new Error(`the emulator did not open its port; see ${this.#options.folder}`);
    createInterface({ input: this.#socket }).on('line', (line) => {
      this.#take(JSON.parse(line) as LabAnswer);
    });
  }

  #take(answer: LabAnswer): void {
    if ('hello' in answer) {
      this.#hello?.();
      this.#failAll('dom0 has a new agent, which knows nothing of what the one before was asked');
      return;
    }
    this.#waiting.get(answer.id)?.resolve({ code: answer.code, output: answer.output });
  }

  #failAll(why: string): void {
    for (const { reject } of [...this.#waiting.values()]) reject(this.#trouble(why));
  }

  /** With what Xen and dom0 wrote on the machine's console last: it knows more of the trouble than the port. */
  #trouble(what: string): Error {
    const lines = readFileSync(consolePath(this.#options), 'utf8').trimEnd().split('\n').slice(-CONSOLE_LINES);
    return new Error(`${what}; the console's last lines:\n${lines.join('\n')}`);
  }

  async #hasEnded(): Promise<never> {
    await this.#ended;
    throw new Error(`the emulator ended before dom0 was up; see ${this.#options.folder}/console.log`);
  }
}

async function tooSlow({ folder }: MachineOptions, signal: AbortSignal): Promise<never> {
  await sleep(UP_LIMIT_MS, undefined, { signal });
  throw new Error(`dom0 was not up within ${UP_LIMIT_MS / 1_000} s; see ${folder}/console.log`);
}
