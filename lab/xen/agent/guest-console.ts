/** Runs commands in guests, over their consoles: lines that the guest marked are answers, everything else is talk. */
import { constants, openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { ReadStream } from 'node:tty';
import { gunzipSync } from 'node:zlib';
import { CODE_OUT_OF_TIME, CODE_UNREACHABLE, type ConsolePlace, type LabRequest, type Ran } from '../protocol.js';
import { escapeForPrintf } from './escape.js';

type GuestRequest = LabRequest & { readonly console: ConsolePlace };

interface Pending {
  readonly finish: (ran: Ran) => void;
  readonly lines: string[];
  isPacked: boolean;
}

/** The guest keeps to the limit itself; this much later it is given up, for it may be too short of memory to answer. */
const GRACE_MS = 5_000;
const MS_PER_SECOND = 1_000;

class Console {
  readonly #tty: number;
  readonly #pending = new Map<number, Pending>();
  #current: Pending | null = null;

  constructor(path: string) {
    // Not our controlling terminal: its hang-up must not end the lab.
    this.#tty = openSync(path, constants.O_RDWR | constants.O_NOCTTY);
    createInterface({ input: new ReadStream(this.#tty) })
      .on('line', (line) => {
        this.#take(line.trim());
      })
      // The guest was destroyed. The interface passes on what its stream throws, and nobody else listens.
      .on('error', () => undefined);
  }

  run({ id, command, limitMs }: GuestRequest): Promise<Ran> {
    return new Promise((resolve) => {
      const finish = (ran: Ran): void => {
        clearTimeout(timer);
        this.#pending.delete(id);
        resolve(ran);
      };
      const timer = setTimeout(() => {
        finish({ code: CODE_OUT_OF_TIME, output: 'lab: the guest did not answer in time' });
      }, limitMs + GRACE_MS);
      this.#pending.set(id, { finish, lines: [], isPacked: false });
      const seconds = Math.ceil(limitMs / MS_PER_SECOND);
      const bytes = Buffer.from(`${id} ${seconds} ${escapeForPrintf(command)}\n`);
      for (let sent = 0; sent < bytes.length;) sent += writeSync(this.#tty, bytes, sent);
    });
  }

  #take(line: string): void {
    const [, mark, id, code] = /^@@([BPE]) (\d+) ?(\d*)/.exec(line) ?? [];
    if (mark === undefined) this.#current?.lines.push(line);
    else if (mark === 'E') this.#end(Number(id), Number(code));
    else this.#begin(Number(id), mark === 'P');
  }

  #begin(id: number, isPacked: boolean): void {
    this.#current = this.#pending.get(id) ?? null;
    if (this.#current !== null) this.#current.isPacked = isPacked;
  }

  #end(id: number, code: number): void {
    const ended = this.#pending.get(id);
    this.#current = null;
    ended?.finish(decode(code, ended));
  }
}

function decode(code: number, { lines, isPacked }: Pending): Ran {
  const text = lines.join('');
  try {
    const bytes = Buffer.from(text, 'base64');
    return { code, output: (isPacked ? gunzipSync(bytes) : bytes).toString() };
  } catch (error) {
    return { code: CODE_UNREACHABLE, output: `lab: the guest's answer is garbled (${String(error)}): ${text}` };
  }
}

const consoles = new Map<number, Console>();

/** Resolves with what came of it, whatever comes of it. */
export async function runInGuest(request: GuestRequest): Promise<Ran> {
  const { domain, tty } = request.console;
  try {
    const console = consoles.get(domain) ?? new Console(tty);
    consoles.set(domain, console);
    return await console.run(request);
  } catch (error) {
    return { code: CODE_UNREACHABLE, output: `lab: domain ${domain} cannot be reached: ${String(error)}` };
  }
}
