/**
 * All that `/proc` says of the guest this runs in, as signals. It keeps its files open and decides only how often the costly
 * one is read; what a balloon driver or a swap tier knows (`current`, `maximum`, `overflowUsed`) is for the adapters to add.
 */
import { join } from 'node:path';
import { NOTHING_KNOWN, type Signals } from '../control/reading.js';
import { mapField, stamp, type Field, type Signal } from '../control/signal.js';
import type { Millis, Pages } from '../units.js';
import { parseMeminfo, type Meminfo } from './meminfo.js';
import { parsePressure, toPressure } from './pressure.js';
import { openProcFile, type ProcFile } from './proc-file.js';
import { parseVmstat, type Vmstat } from './vmstat.js';
import { parseZoneinfo } from './zoneinfo.js';

/**
 * `/proc/zoneinfo` is some 5 KB on a small guest and hundreds on a large machine, and its two numbers change only with
 * hotplug, sysctls, and the size of the guest. So it is read again when it is older than this, or when `MemTotal` has changed.
 */
export const ZONEINFO_AGE_MS_MAX = 2000;

export interface GuestReaderOptions {
  /** The folder that has `proc` in it: `/`, unless someone tests. */
  readonly root: string;
  readonly now: () => Millis;
}

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
      const memory = readMemory(meminfo, now);
      const extent = zones.read(memory.total.known ? memory.total.value : null);
      return { ...NOTHING_KNOWN, ...memory, ...extent, ...readCounters(vmstat, now), ...readPressure(pressure, now) };
    },
    close() {
      for (const file of [meminfo, vmstat, pressure, zones]) file.close();
    },
  };
}

type MemorySignals = Pick<Signals, 'total' | 'free' | 'available' | 'cached' | 'committed' | 'swapTotal' | 'swapUsed'>;

function readMemory(file: ProcFile, now: () => Millis): MemorySignals {
  const at = now();
  const memory = mapField(file.read(), parseMeminfo);
  const signal = (pick: (known: Meminfo) => Field<Pages>): Signal<Pages> =>
    stamp(memory.known ? pick(memory.value) : memory, at);
  return {
    total: signal(({ total }) => total),
    free: signal(({ free }) => free),
    available: signal(({ available }) => available),
    cached: signal(({ cached }) => cached),
    committed: signal(({ committed }) => committed),
    swapTotal: signal(({ swapTotal }) => swapTotal),
    swapUsed: signal(({ swapUsed }) => swapUsed),
  };
}

function readCounters(file: ProcFile, now: () => Millis): Pick<Signals, 'refaults' | 'majorFaults' | 'oomKills'> {
  const at = now();
  const counters = mapField(file.read(), parseVmstat);
  const signal = (pick: (known: Vmstat) => Field<number>): Signal<number> =>
    stamp(counters.known ? pick(counters.value) : counters, at);
  return {
    refaults: signal(({ refaults }) => refaults),
    majorFaults: signal(({ majorFaults }) => majorFaults),
    oomKills: signal(({ oomKills }) => oomKills),
  };
}

function readPressure(file: ProcFile, now: () => Millis): Pick<Signals, 'pressure'> {
  const at = now();
  const text = file.read();
  return { pressure: stamp(text.known ? mapField(parsePressure(text.value), toPressure) : text, at) };
}

type Extent = Pick<Signals, 'reserve' | 'maxPfn'>;

/** Remembers what `/proc/zoneinfo` said, for as long as it may be used. */
class ZoneSignals {
  readonly #file: ProcFile;
  readonly #now: () => Millis;
  #last: { readonly at: Millis; readonly total: Pages | null; readonly extent: Extent } | null = null;

  constructor(file: ProcFile, now: () => Millis) {
    this.#file = file;
    this.#now = now;
  }

  /** `total` is `MemTotal` as just read, null where it is unknown. */
  read(total: Pages | null): Extent {
    const at = this.#now();
    const last = this.#last;
    // A clock that went back makes the age negative: then nobody can say how old the value is.
    const age = last === null ? Infinity : at - last.at;
    if (last?.total === total && age >= 0 && age < ZONEINFO_AGE_MS_MAX) return last.extent;
    const zones = mapField(this.#file.read(), (text) => parseZoneinfo(text, total));
    const extent = {
      reserve: stamp(zones.known ? zones.value.reserve : zones, at),
      maxPfn: stamp(zones.known ? zones.value.maxPfn : zones, at),
    };
    this.#last = { at, total, extent };
    return extent;
  }

  close(): void {
    this.#file.close();
    this.#last = null;
  }
}
