/**
 * All that `/proc` says of the guest this runs in, as signals. It keeps its files open and decides only how often the costly
 * one is read; what a balloon driver or a swap tier knows (`current`, `maximum`, `overflowUsed`) is for the adapters to add.
 */
import { join } from 'node:path';
import { NOTHING_KNOWN, type Signals } from '../control/reading.js';
import type { Field } from '../control/signal.js';
import type { Millis, Pages } from '../units.js';
import { counterSignals, extentSignals, memorySignals, pressureSignals, type ExtentSignals } from './guest-texts.js';
import { openProcFile, type ProcFile } from './proc-file.js';

/**
 * `/proc/zoneinfo` is some 5 KB on a small guest and hundreds on a large machine, and its two numbers change only with
 * hotplug, sysctls, and the size of the guest. So it is read again when it is older than this, or when `MemTotal` has changed.
 */
export const ZONEINFO_AGE_MS_MAX = 2000;

/** Where the guest's files are, and whose time its signals have. */
export interface GuestReaderOptions {
  /** The folder that has `proc` in it: `/`, unless someone tests. */
  readonly root: string;
  readonly now: () => Millis;
}

/** Looks at the guest from inside of it, again and again, over descriptors that stay open. */
export interface GuestReader {
  /**
   * Looks once. Every signal has the time just before its file was read; `reserve` and `maxPfn` may be up to
   * `ZONEINFO_AGE_MS_MAX` older than the others, and say so. What is missing, unreadable or nonsense is unknown by itself.
   * `current`, `maximum` and `overflowUsed` are always `not-reported`. Never throws.
   */
  read(): Signals;
  /** Gives the descriptors back. A read after that knows nothing. */
  close(): void;
}

/** Opens the files of this guest. Files that are missing now are looked for again later. */
export function openGuestReader(options: GuestReaderOptions): GuestReader {
  const { now } = options;
  const open = (...parts: readonly string[]): ProcFile => openProcFile(join(options.root, 'proc', ...parts));
  const meminfo = open('meminfo');
  const vmstat = open('vmstat');
  const pressure = open('pressure', 'memory');
  const zones = new ZoneSignals(open('zoneinfo'), now);
  return {
    read() {
      const memory = readWith(memorySignals, meminfo, now);
      const extent = zones.read(memory.total.known ? memory.total.value : null);
      const counters = readWith(counterSignals, vmstat, now);
      return { ...NOTHING_KNOWN, ...memory, ...extent, ...counters, ...readWith(pressureSignals, pressure, now) };
    },
    close() {
      for (const file of [meminfo, vmstat, pressure, zones]) file.close();
    },
  };
}

/** The time is the one just before the file is read. */
function readWith<T>(signalsOf: (text: Field<string>, at: Millis) => T, file: ProcFile, now: () => Millis): T {
  const at = now();
  return signalsOf(file.read(), at);
}

/** Remembers what `/proc/zoneinfo` said, for as long as it may be used. */
class ZoneSignals {
  readonly #file: ProcFile;
  readonly #now: () => Millis;
  #last: { readonly at: Millis; readonly total: Pages | null; readonly extent: ExtentSignals } | null = null;

  constructor(file: ProcFile, now: () => Millis) {
    this.#file = file;
    this.#now = now;
  }

  /** `total` is `MemTotal` as just read, null where it is unknown. */
  read(total: Pages | null): ExtentSignals {
    const at = this.#now();
    const last = this.#last;
    // A clock that went back makes the age negative: then nobody can say how old the value is.
    const age = last === null ? Infinity : at - last.at;
    if (last?.total === total && age >= 0 && age < ZONEINFO_AGE_MS_MAX) return last.extent;
    const extent = extentSignals(this.#file.read(), at, total);
    this.#last = { at, total, extent };
    return extent;
  }

  close(): void {
    this.#file.close();
    this.#last = null;
  }
}
