/** Runs shell commands in a guest, over the serial port on which its first process takes them (`init.ts`). */
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { escapeForPrintf } from '../xen/agent/escape.js';
import { connectPort, within, type Watched } from './waiting.js';

/** How a command ended, with its output on either stream. */
export interface Ran {
  readonly code: number;
  readonly output: string;
}

/** Seen: 5 s on a quiet machine of 2 cores. */
const UP_LIMIT_MS = 120_000;
const COMMAND_LIMIT_MS = 120_000;

interface Pending {
  readonly finish: (ran: Ran) => void;
  readonly lines: string[];
}

export class CommandPort {
  readonly #socket: Socket;
  readonly #guest: Watched;
  readonly #pending = new Map<number, Pending>();
  #current: Pending | null = null;
  #lastId = 0;
  #isUp: () => void = () => undefined;

  private constructor(socket: Socket, guest: Watched) {
    this.#socket = socket;
    this.#guest = guest;
    createInterface({ input: socket })
      .on('line', (line) => {
        this.#take(line.trim());
      })
      .on('error', () => undefined);
  }

  /** Resolves when the guest takes commands. `path` is the port's socket on the host. */
  static async open(path: string, guest: Watched): Promise<CommandPort> {
    const port = new CommandPort(await connectPort(path, guest), guest);
    const up = new Promise<void>((resolve) => (port.#isUp = resolve));
    try {
      await within(guest, up, { limitMs: UP_LIMIT_MS, what: 'the guest was not up' });
      return port;
    } catch (error) {
      port.close();
      throw error;
    }
  }

  async tryRun(command: string, limitMs = COMMAND_LIMIT_MS): Promise<Ran> {
    const id = (this.#lastId += 1);
    const ran = new Promise<Ran>((resolve) => {
      this.#pending.set(id, { finish: resolve, lines: [] });
      this.#socket.write(`${id} ${escapeForPrintf(command)}\n`);
    });
    try {
      return await within(this.#guest, ran, { limitMs, what: `the guest did not answer: ${command}` });
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

  close(): void {
    this.#socket.destroy();
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
}
