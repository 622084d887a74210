/** Runs commands in guests, over their consoles: lines that the guest marked are answers, everything else is talk. */
import { constants, openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { ReadStream } from 'node:tty';
import { gunzipSync } from 'node:zlib';
import { CODE_OUT_OF_TIME, CODE_UNREACHABLE, type ConsolePlace, type LabRequest, type Ran } from '../protocol.js';

type GuestRequest = LabRequest & { readonly console: ConsolePlace };

interface Pending {
  readonly finish: (ran: Ran) => void;
  readonly lines: string[];
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
      this.#pending.set(id, { finish, lines: [] });
      const seconds = Math.ceil(limitMs / MS_PER_SECOND);
      const bytes = Buffer.from(`${id} ${seconds} ${Buffer.from(command).toString('base64')}\n`);
      for (let sent = 0; sent < bytes.length;) sent += writeSync(this.#tty, bytes, sent);
    });
  }

  #take(line: string): void {
    const [, mark, id, code] = /^@@([BE]) (\d+) ?(\d*)/.exec(line) ?? [];
    if (mark === 'B') this.#current = this.#pending.get(Number(id)) ?? null;
    else if (mark === 'E') {
      const ended = this.#pending.get(Number(id));
      ended?.finish(decode(Number(code), ended.lines.join('')));
      this.#current = null;
    } else this.#current?.lines.push(line);
  }
}

function decode(code: number, text: string): Ran {
  try {
    return { code, output: gunzipSync(Buffer.from(text, 'base64')).toString() };
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
