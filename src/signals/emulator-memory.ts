/**
 * How much of the host's memory the emulator of one guest has: its resident set and its huge pages, in which the guest's memory is as far as
 * the guest has touched it; and whether it keeps that whatever its guest gives up. Read no more often than is of use. It does not know what
 * the guest holds.
 */
import { join } from 'node:path';
import { addMillis, millis, minPages, type Millis, type Pages } from '../units.js';
import { decodeProcessMemory, keptOf, type KeptMemory, type ProcessMemory } from './kept-memory.js';
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
/**
 * Of `/proc/PID/status`, which everybody may read, unless `/proc` is mounted with `hidepid`. What is wanted ends with the 33rd line or so,
 * 600 to 900 bytes down, or more where the process is in many groups.
 */
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
  #memory: ProcessMemory | null = null;
  /** What its guest has held at most since that was read; null: nobody has said. */
  #heldSince: Pages | null = null;
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
    if (this.#heldSince === null || held < this.#heldSince) this.#heldSince = held;
  }

  /** As it was at most 2 s ago, or as little as its guest has held since. Null where nobody can tell. Never throws. */
  resident(): Pages | null {
    const memory = this.#recent();
    if (memory === null || this.#heldSince === null) return memory?.resident ?? null;
    return minPages(memory.resident, this.#heldSince);
  }

  /**
   * Of the same moment: why it keeps what its guest gives up, where the guest was started with `base`; null: it does not. `before` is what was
   * found last, which stands where nobody can tell now. Never throws.
   */
  kept(base: Pages | null, before: KeptMemory | null = null): KeptMemory | null {
    const memory = this.#recent();
    return memory === null ? before : keptOf(memory, base);
  }

  /** Gives the descriptor back. From now on nobody can tell. */
  close(): void {
    this.#isClosed = true;
    this.#file?.close();
    this.#file = null;
  }

  #recent(): ProcessMemory | null {
    if (this.isOld) {
      this.#readAt = this.#options.now();
      this.#heldSince = null;
      this.#memory = this.#read();
    }
    return this.#memory;
  }

  #read(): ProcessMemory | null {
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
    return decodeProcessMemory(text.value);
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
