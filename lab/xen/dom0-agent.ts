/** Runs in dom0: takes requests from the host, runs commands here and, over their consoles, in guests. */
import { execFile, execFileSync } from 'node:child_process';
import { constants, createReadStream, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { ReadStream } from 'node:tty';
import { PORT_NAME, type LabAnswer, type LabRequest } from './protocol.js';

const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

function findPort(): string {
  const folder = '/sys/class/virtio-ports';
  const name = readdirSync(folder).find((port) => readFileSync(`${folder}/${port}/name`, 'utf8').trim() === PORT_NAME);
  if (name === undefined) throw new Error(`no virtio port ${PORT_NAME}`);
  return `/dev/${name}`;
}

const port = openSync(findPort(), 'r+');

function answer(message: LabAnswer): void {
  const bytes = Buffer.from(`${JSON.stringify(message)}\n`);
  for (let sent = 0; sent < bytes.length;) sent += writeSync(port, bytes, sent);
}

function runHere(id: number, command: string, limitMs: number): void {
  const options = { timeout: limitMs, maxBuffer: OUTPUT_BYTES_MAX };
  execFile('/bin/sh', ['-c', `{ ${command}\n} 2>&1`], options, (error, output) => {
    answer({ id, code: error === null ? 0 : typeof error.code === 'number' ? error.code : 124, output });
  });
}

interface Pending {
  readonly finish: (code: number, output: string) => void;
  readonly lines: string[];
}

/** A guest's console: lines that the guest marked are answers, everything else is talk. */
class Console {
  readonly #tty: number;
  readonly #pending = new Map<number, Pending>();
  #current: Pending | null = null;

  constructor(path: string) {
    // Not our controlling terminal: its hang-up must not end the lab.
    this.#tty = openSync(path, constants.O_RDWR | constants.O_NOCTTY);
    const input = new ReadStream(this.#tty);
    // The guest was destroyed.
    input.on('error', () => undefined);
    const lines = createInterface({ input });
    lines.on('line', (line) => {
      this.#take(line.trim());
    });
  }

  run(id: number, command: string, limitMs: number): Promise<{ readonly code: number; readonly output: string }> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        resolve({ code: 124, output: 'lab: the guest did not answer in time' });
      }, limitMs);
      const finish = (code: number, output: string): void => {
        clearTimeout(timer);
        this.#pending.delete(id);
        resolve({ code, output });
      };
      this.#pending.set(id, { finish, lines: [] });
      const bytes = Buffer.from(`${id} ${Buffer.from(command).toString('base64')}\n`);
      for (let sent = 0; sent < bytes.length;) sent += writeSync(this.#tty, bytes, sent);
    });
  }

  #take(line: string): void {
    const [, mark, id, code] = /^@@([BE]) (\d+) ?(\d*)/.exec(line) ?? [];
    if (mark === 'B') this.#current = this.#pending.get(Number(id)) ?? null;
    else if (mark === 'E') {
      const ended = this.#pending.get(Number(id));
      ended?.finish(Number(code), Buffer.from(ended.lines.join(''), 'base64').toString());
      this.#current = null;
    } else this.#current?.lines.push(line);
  }
}

/** By the console's path: a guest that was created anew has a new one. */
const consoles = new Map<string, Console>();

function consoleOf(guest: string): Console {
  const domain = execFileSync('xl', ['domid', guest], { encoding: 'utf8' }).trim();
  const path = execFileSync('xenstore-read', [`/local/domain/${domain}/console/tty`], { encoding: 'utf8' }).trim();
  const known = consoles.get(`${domain} ${path}`);
  if (known !== undefined) return known;
  const opened = new Console(path);
  consoles.set(`${domain} ${path}`, opened);
  return opened;
}

async function runInGuest({ id, guest, command, limitMs }: Extract<LabRequest, { kind: 'guest' }>): Promise<void> {
  try {
    answer({ id, ...(await consoleOf(guest).run(id, command, limitMs)) });
  } catch (error) {
    answer({ id, code: 125, output: `lab: ${guest} cannot be reached: ${String(error)}` });
  }
}

createInterface({ input: createReadStream('', { fd: port, autoClose: false }) }).on('line', (line) => {
  const request = JSON.parse(line) as LabRequest;
  if (request.kind === 'dom0') runHere(request.id, request.command, request.limitMs);
  else void runInGuest(request);
});
answer({ id: 0, hello: process.version });
