/**
 * Programs that stand in for virsh: real processes whose every word is the test's. What they say of domains comes from a fake libvirt;
 * how they say it is virsh's way, or as hostile as the test wants.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FakeLibvirt } from './fake-libvirt.js';

const RELAY = fileURLToPath(new URL('relay.js', import.meta.url));
const GREETING =
  "Welcome to virsh, the virtualization interactive terminal.\n\nType:  'help' for help with commands\n\n";

/** One process that runs. */
export interface FakeProcess {
  readonly args: readonly string[];
  /** Lines that it was given. */
  readonly lines: string[];
  readonly say: (text: string) => void;
  /** Ends it, as if it had crashed. */
  readonly crash: () => void;
  isGone: boolean;
}

export class FakeVirsh {
  readonly libvirt = new FakeLibvirt();
  readonly processes: FakeProcess[] = [];
  /** What is said at the beginning; null: it says nothing at all, ever. */
  greeting: string | null = GREETING;
  /** It says only this, and ends: as where there is no libvirt. */
  lastWords: string | null = null;
  readonly folder: string;
  /** To be run instead of virsh. */
  readonly program: string;
  readonly #server: Server;
  readonly #environmentFile: string;

  private constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'selfballoon-virsh-'));
    this.program = join(this.folder, 'virsh');
    const socket = join(this.folder, 'socket');
    this.#environmentFile = join(this.folder, 'environment');
    writeFileSync(
      this.program,
      `#!/bin/sh\nenv > '${this.#environmentFile}'\nexec '${process.execPath}' '${RELAY}' '${socket}' "$@"\n`,
    );
    chmodSync(this.program, 0o755);
    this.#server = createServer((connection) => {
      this.#serve(connection);
    });
    this.#server.listen(socket);
  }

  static start(test: TestContext): FakeVirsh {
    const fake = new FakeVirsh();
    test.after(() => {
      for (const { crash } of fake.processes) crash();
      fake.#server.close();
      // A virsh that has only begun may still write into it.
      rmSync(fake.folder, { recursive: true, force: true, maxRetries: 5 });
    });
    return fake;
  }

  /** The variables that the one that began last was given. */
  get environment(): ReadonlySet<string> {
    return new Set(readFileSync(this.#environmentFile, 'utf8').split('\n'));
  }

  /** Those that have not ended. */
  get running(): readonly FakeProcess[] {
    return this.processes.filter(({ isGone }) => !isGone);
  }

  #serve(connection: Socket): void {
    const gone = new AbortController();
    let made: FakeProcess | null = null;
    let work = Promise.resolve();
    connection.on('error', () => undefined);
    connection.on('close', () => {
      if (made !== null) made.isGone = true;
      gone.abort();
    });
    createInterface({ input: connection })
      .on('line', (line) => {
        if (made === null) made = this.#begin(connection, line);
        else {
          const { lines, say, args } = made;
          lines.push(line);
          if (this.greeting === null || this.lastWords !== null) return;
          const prompt = args.includes('-r') ? 'virsh > ' : 'virsh # ';
          work = work.then(async () => {
            say(`${prompt}${line}\n`);
            await this.libvirt.answer(line, say, gone.signal);
          });
        }
      })
      .on('error', () => undefined);
  }

  #begin(connection: Socket, line: string): FakeProcess {
    const made: FakeProcess = {
      args: JSON.parse(line) as readonly string[],
      lines: [],
      say: (text) => {
        if (connection.writable) connection.write(text);
      },
      crash: () => {
        connection.destroy();
      },
      isGone: false,
    };
    this.processes.push(made);
    if (this.lastWords !== null) connection.end(this.lastWords);
    else if (this.greeting !== null) made.say(this.greeting);
    return made;
  }
}
