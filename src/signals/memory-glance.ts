/**
 * The two numbers that an alarm is decided by, `MemTotal` and `MemAvailable`, read so cheaply that it can be done many times a
 * second. It does not know how much is too little.
 */
import { join } from 'node:path';
import { known, mapField, unknown, type Field } from '../control/signal.js';
import { kib, kibToPagesDown, type Pages } from '../units.js';
import { parseNamedNumbers, type NamedNumbersGrammar } from './named-numbers.js';
import { openProcFile } from './proc-file.js';

export interface MemoryGlance {
  /** `MemTotal`, more than 0. */
  readonly total: Pages;
  /** `MemAvailable`, 0 to `total`. */
  readonly available: Pages;
}

export interface MemoryGlancer {
  /** Both numbers as they are now, or why one of them is not known. Never throws. */
  read(): Field<MemoryGlance>;
  /** Gives the descriptor back. A read after that knows nothing. */
  close(): void;
}

const FILE = '/proc/meminfo';
/** The two are the first and the third line, of 28 bytes each on every kernel. */
const HEAD_BYTES = 512;
const GRAMMAR: NamedNumbersGrammar = {
  file: FILE,
  separator: ':',
  suffix: ' kB',
  names: new Set(['MemTotal', 'MemAvailable']),
};

/** Opens `/proc/meminfo` under `root`. Where it is missing now, it is looked for again later. */
export function openMemoryGlancer(root: string): MemoryGlancer {
  const file = openProcFile(join(root, 'proc', 'meminfo'), { headBytes: HEAD_BYTES });
  return {
    read() {
      const text = file.read();
      return text.known ? parseMemoryGlance(text.value) : text;
    },
    close() {
      file.close();
    },
  };
}

/** Parses the text of `/proc/meminfo`, as far as the line with `MemAvailable`. Never throws. */
export function parseMemoryGlance(text: string): Field<MemoryGlance> {
  const numberOf = parseNamedNumbers(throughAvailable(text), GRAMMAR);
  const pagesOf = (name: string): Field<Pages> => mapField(numberOf(name), (size) => kibToPagesDown(kib(size)));
  const total = pagesOf('MemTotal');
  if (!total.known) return total;
  const available = pagesOf('MemAvailable');
  if (!available.known) return available;
  if (total.value === 0) return unknown('implausible', `${FILE}: MemTotal is 0`);
  if (available.value > total.value) return unknown('implausible', `${FILE}: MemAvailable is larger than MemTotal`);
  return known({ total: total.value, available: available.value });
}

/** It is the third of some fifty lines, and the rest need not be looked at. A kernel before 3.14 has none. */
function throughAvailable(text: string): string {
  const line = text.indexOf('\nMemAvailable:');
  const end = line === -1 ? -1 : text.indexOf('\n', line + 1);
  return end === -1 ? text : text.slice(0, end + 1);
}
