/**
 * The texts of a guest's `/proc` → signals. Whoever brings a text says when it was asked for, and every signal from it has that time.
 * It does not know how a text was read: inside the guest, or through somebody in it.
 */
import type { Signals } from '../control/reading.js';
import { mapField, stamp, type Field, type Signal } from '../control/signal.js';
import type { Millis, Pages } from '../units.js';
import { parseMeminfo, type Meminfo } from './meminfo.js';
import { parsePressure, toPressure } from './pressure.js';
import { parseVmstat, type Vmstat } from './vmstat.js';
import { parseZoneinfo } from './zoneinfo.js';

export type MemorySignals = Pick<
  Signals,
  'total' | 'free' | 'available' | 'cached' | 'committed' | 'swapTotal' | 'swapUsed'
>;
export type CounterSignals = Pick<Signals, 'refaults' | 'majorFaults' | 'oomKills'>;
export type PressureSignals = Pick<Signals, 'pressure'>;
export type ExtentSignals = Pick<Signals, 'reserve' | 'maxPfn'>;

/** What `/proc/meminfo` said at `at`. Never throws. */
export function memorySignals(text: Field<string>, at: Millis): MemorySignals {
  const memory = mapField(text, parseMeminfo);
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

/** What `/proc/vmstat` said at `at`. Never throws. */
export function counterSignals(text: Field<string>, at: Millis): CounterSignals {
  const counters = mapField(text, parseVmstat);
  const signal = (pick: (known: Vmstat) => Field<number>): Signal<number> =>
    stamp(counters.known ? pick(counters.value) : counters, at);
  return {
    refaults: signal(({ refaults }) => refaults),
    majorFaults: signal(({ majorFaults }) => majorFaults),
    oomKills: signal(({ oomKills }) => oomKills),
  };
}

/** What `/proc/pressure/memory` said at `at`. Never throws. */
export const pressureSignals = (text: Field<string>, at: Millis): PressureSignals => ({
  pressure: stamp(text.known ? mapField(parsePressure(text.value), toPressure) : text, at),
});

/** What `/proc/zoneinfo` said at `at`, of a guest whose `MemTotal` is `total`; null: not known. Never throws. */
export function extentSignals(text: Field<string>, at: Millis, total: Pages | null): ExtentSignals {
  const zones = mapField(text, (known) => parseZoneinfo(known, total));
  return {
    reserve: stamp(zones.known ? zones.value.reserve : zones, at),
    maxPfn: stamp(zones.known ? zones.value.maxPfn : zones, at),
  };
}
