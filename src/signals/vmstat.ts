/**
 * `/proc/vmstat`: counters since boot. They are plain counts, not amounts of memory, and only their growth means anything.
 * A counter that this kernel does not have is unknown, never 0.
 *
 * Source of the names: the kernel's mm/vmstat.c.
 */
import { known, type Field } from '../control/signal.js';
import { parseNamedNumbers, type NamedNumbersGrammar } from './named-numbers.js';
import { malformed } from './text.js';

/** Counts since boot. */
export interface Vmstat {
  /**
   * Pages read back soon after they had been pushed out: `workingset_refault_file` + `workingset_refault_anon`, or
   * `workingset_refault` (files only) before Linux 5.9. Kernels before 3.15 have neither.
   */
  readonly refaults: Field<number>;
  /** `pgmajfault`: page faults that had to wait for a disk. */
  readonly majorFaults: Field<number>;
  /** `oom_kill`: processes killed because there was no memory. Kernels before 4.13 have none. */
  readonly oomKills: Field<number>;
  /** `pswpin`: pages read from swap. Absent from kernels built without swap. */
  readonly swappedIn: Field<number>;
  /** `pswpout`: pages written to swap. */
  readonly swappedOut: Field<number>;
}

const FILE = '/proc/vmstat';
const GRAMMAR: NamedNumbersGrammar = {
  file: FILE,
  separator: ' ',
  suffix: '',
  names: new Set([
    'workingset_refault',
    'workingset_refault_anon',
    'workingset_refault_file',
    'pgmajfault',
    'oom_kill',
    'pswpin',
    'pswpout',
  ]),
};

/** Parses the text of `/proc/vmstat`. Never throws. */
export function parseVmstat(text: string): Vmstat {
  const numberOf = parseNamedNumbers(text, GRAMMAR);
  return {
    refaults: addRefaults(
      numberOf('workingset_refault_file'),
      numberOf('workingset_refault_anon'),
      numberOf('workingset_refault'),
    ),
    majorFaults: numberOf('pgmajfault'),
    oomKills: numberOf('oom_kill'),
    swappedIn: numberOf('pswpin'),
    swappedOut: numberOf('pswpout'),
  };
}

/** Kernels have both of the new counters or neither; half of the sum would look like a guest at rest. */
function addRefaults(file: Field<number>, anon: Field<number>, both: Field<number>): Field<number> {
  if (file.known && anon.known) {
    const sum = file.value + anon.value;
    return Number.isSafeInteger(sum) ? known(sum) : malformed(FILE, 'the workingset_refault counters pass 2^53');
  }
  if (!file.known && file.reason !== 'not-reported') return file;
  if (!anon.known && anon.reason !== 'not-reported') return anon;
  if (file.known || anon.known) return malformed(FILE, 'only one of workingset_refault_file and _anon is there');
  return both;
}
