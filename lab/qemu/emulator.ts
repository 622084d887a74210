/** The emulator's process: it cannot outlive this one, and what it prints is its guest's console. */
import type { ChildProcess } from 'node:child_process';
import { createWriteStream, readFileSync } from 'node:fs';
import { endWhenAbandoned } from '../abandoned.js';
import { spawnTied } from '../tied-process.js';
import type { Watched } from './waiting.js';

export const EMULATOR = 'qemu-system-x86_64';
const LAST_LINES = 15;
const KIB_PER_MIB = 1_024;

/** Memory of this machine that the emulator holds, in MiB. */
export interface EmulatorMemory {
  /** All of it: the guest's, and some 60 MiB of its own, of which most is the program, shared with other emulators. */
  readonly residentMib: number;
  /** The guest's, and some 20 MiB of its own. What free page reporting or a balloon gives back is missing here at once. */
  readonly anonymousMib: number;
}

export class Emulator implements Watched {
  readonly ended: Promise<void>;
  readonly #process: ChildProcess;
  readonly #log: string;

  /** `log` is the file for what is printed. */
  constructor(args: readonly string[], log: string) {
    endWhenAbandoned();
    this.#log = log;
    this.#process = spawnTied(EMULATOR, args);
    const file = createWriteStream(log);
    this.#process.stdout?.pipe(file);
    this.#process.stderr?.pipe(file);
    this.ended = new Promise((resolve) => {
      for (const end of ['error', 'exit'] as const) {
        this.#process.once(end, () => {
          resolve();
        });
      }
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  get memory(): EmulatorMemory {
    return memoryOf(this.pid);
  }

  lastWords(): string {
    return readFileSync(this.#log, 'utf8').split('\n').slice(-LAST_LINES).join('\n');
  }

  /** Kills it; resolves when it has ended. */
  async close(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.ended;
  }
}

/** What a process holds; throws when there is none. */
export function memoryOf(pid: number): EmulatorMemory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const mib = (name: string): number =>
    Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(text)?.[1] ?? NaN) / KIB_PER_MIB;
  return { residentMib: mib('Rss'), anonymousMib: mib('Anonymous') };
}
