/** What one look at this machine costs. */
import { openGuestReader } from '../src/signals/guest-reader.js';
import { parseMeminfo } from '../src/signals/meminfo.js';
import { openProcFile } from '../src/signals/proc-file.js';
import { parseVmstat } from '../src/signals/vmstat.js';
import { parseZoneinfo } from '../src/signals/zoneinfo.js';
import { millis } from '../src/units.js';

export interface SignalsBenchRow {
  readonly name: string;
  readonly unit: 'µs';
  readonly value: number;
  readonly goal: number | null;
}

const ROUNDS = 2000;

/** Reads this machine's `/proc` some thousand times; each row is the median of its rounds. Takes about a second. */
export function benchSignals(): readonly SignalsBenchRow[] {
  return [
    row('one full read of this machine', fullRead(0)),
    row('one full read of this machine, zoneinfo every time', fullRead(10_000)),
    row('/proc/meminfo, read and parsed', fileRead('/proc/meminfo', parseMeminfo)),
    row('/proc/vmstat, read and parsed', fileRead('/proc/vmstat', parseVmstat)),
    row(
      '/proc/zoneinfo, read and parsed',
      fileRead('/proc/zoneinfo', (text) => parseZoneinfo(text, null)),
    ),
  ];
}

interface Measured {
  readonly run: () => unknown;
  readonly close: () => void;
}

/** `stepMs` is how far the reader's clock moves between two looks. */
function fullRead(stepMs: number): Measured {
  let at = 0;
  const reader = openGuestReader({ root: '/', now: () => millis(at) });
  const run = (): unknown => {
    at += stepMs;
    return reader.read();
  };
  return {
    run,
    close: () => {
      reader.close();
    },
  };
}

function fileRead(path: string, parse: (text: string) => unknown): Measured {
  const file = openProcFile(path);
  const run = (): unknown => {
    const text = file.read();
    return text.known ? parse(text.value) : text;
  };
  return {
    run,
    close: () => {
      file.close();
    },
  };
}

function row(name: string, measured: Measured): SignalsBenchRow {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const start = performance.now();
    measured.run();
    times.push((performance.now() - start) * 1000);
  }
  measured.close();
  const median = times.sort((a, b) => a - b)[ROUNDS / 2] ?? 0;
  return { name, unit: 'µs', value: Math.round(median * 10) / 10, goal: null };
}
