/**
 * How much of the host's memory the emulator of one guest has: its resident set, in which the guest's memory is as far as the guest has
 * touched it. Read no more often than is of use. It does not know what the guest holds.
 */
import { join } from 'node:path';
import { addMillis, kib, kibToPagesDown, millis, minPages, type Millis, type Pages } from '../units.js';
import { openProcFile, type ProcFile } from './proc-file.js';

export interface EmulatorMemoryOptions {
  /** The folder that has the host's `proc` in it: `/`, unless someone tests. */
  readonly root: string;
  /** Null: not known whose it is. */
  readonly pid: number | null;
  readonly now: () => Millis;
}

/** Memory that is touched meanwhile counts twice, as taken and as still to be taken: too little is promised for so long, and not too much. */
const READ_AGAIN_AFTER = millis(2_000);
/** A line of `/proc/PID/status`, which everybody may read, unless `/proc` is mounted with `hidepid`. */
const RESIDENT = /^VmRSS:\s+(\d+) kB$/m;
/** It is the 23rd line or so, some 700 bytes down, or more where the process is in many groups. */
const HEAD_BYTES = 2_048;
/**
 * Somebody else's memory says nothing: a program may pass a monitor's words on, or have opened the socket for QEMU. The names are those of
 * QEMU's own binaries, those that a wrapper starts (`.qemu-system-…`), and Proxmox VE's; `-name …,process=` gives it any other, and leaves
 * what it was started as.
 */
const IS_EMULATOR = /^Name:\t(?:\.?qemu|kvm)/;
const IS_STARTED_AS_EMULATOR = /^(?:[^\0]*\/)?(?:\.?qemu|kvm)[^/\0]*(?:\0|$)/;

/** Whether a process is there and is an emulator. Never throws. */
export function isEmulator(root: string, pid: number): boolean {
  const memory = new EmulatorMemory({ root, pid, now: () => millis(0) });
  const isSeen = memory.isSeen();
  memory.close();
  return isSeen;
}

export class EmulatorMemory {
  readonly #options: EmulatorMemoryOptions;
  #file: ProcFile | null = null;
  #resident: Pages | null = null;
  #readAt: Millis | null = null;
  #isClosed = false;
  /** Null: that was not looked at. It stays as it is for as long as the process does. */
  #isStartedAsEmulator: boolean | null = null;

  constructor(options: EmulatorMemoryOptions) {
    this.#options = options;
  }

  /** Whether it would be read again. */
  get isOld(): boolean {
    return this.#readAt === null || this.#options.now() >= addMillis(this.#readAt, READ_AGAIN_AFTER);
  }

  /** Whether the process is there and is an emulator. */
  isSeen(): boolean {
    return this.#read() !== null;
  }

  /** Its guest holds so much now: what it has given up is there no more. */
  noteHeld(held: Pages): void {
    if (this.#resident !== null) this.#resident = minPages(this.#resident, held);
  }

  /** As it was at most 2 s ago, or as little as its guest has held since. Null where nobody can tell. Never throws. */
  resident(): Pages | null {
    if (this.isOld) {
      this.#readAt = this.#options.now();
      this.#resident = this.#read();
    }
    return this.#resident;
  }

  /** Gives the descriptor back. From now on nobody can tell. */
  close(): void {
    this.#isClosed = true;
    this.#file?.close();
    this.#file = null;
  }

  #read(): Pages | null {
    const { root, pid } = this.#options;
    if (pid === null || this.#isClosed) return null;
    this.#file ??= openProcFile(join(root, 'proc', String(pid), 'status'), { headBytes: HEAD_BYTES });
    const text = this.#file.read();
    if (!text.known) {
      // The next process of that number is another one.
      this.#isStartedAsEmulator = null;
      return null;
    }
    if (!IS_EMULATOR.test(text.value) && !this.#wasStartedAsEmulator(pid)) return null;
    const [, size] = RESIDENT.exec(text.value) ?? [];
    return size === undefined ? null : kibToPagesDown(kib(Number(size)));
  }

  #wasStartedAsEmulator(pid: number): boolean {
    if (this.#isStartedAsEmulator !== null) return this.#isStartedAsEmulator;
    const file = openProcFile(join(this.#options.root, 'proc', String(pid), 'cmdline'), { headBytes: HEAD_BYTES });
    const text = file.read();
    file.close();
    this.#isStartedAsEmulator = text.known && IS_STARTED_AS_EMULATOR.test(text.value);
    return this.#isStartedAsEmulator;
  }
}
