/**
 * `/proc/meminfo`: what the guest's kernel says of its memory. Each field is known or unknown by itself; only fields that
 * contradict each other pull each other down. It does not know what the numbers are used for.
 *
 * Source of the fields: the kernel's Documentation/filesystems/proc.rst, "meminfo".
 */
import { mapField, unknown, type Field } from '../control/signal.js';
import { kib, kibToPagesDown, kibToPagesUp, subtractPages, type Pages } from '../units.js';
import { parseNamedNumbers, type NamedNumbersGrammar } from './named-numbers.js';

/** Everything in pages of 4 KiB, from KiB (which the kernel prints as kB). Part pages are dropped, except in `committed`. */
export interface Meminfo {
  /** `MemTotal`: RAM that the kernel manages now. */
  readonly total: Field<Pages>;
  /** `MemFree`. */
  readonly free: Field<Pages>;
  /** `MemAvailable`: the kernel's estimate of what could be had without swapping. Kernels before 3.14 have none. */
  readonly available: Field<Pages>;
  /** `Buffers`: page cache of block devices. Not part of `cached`. */
  readonly buffers: Field<Pages>;
  /**
   * `Cached`: page cache of files, and of tmpfs and shared memory (`shared` is part of it), without `buffers` and without
   * `swapCached`. Not all of it can be dropped: what belongs to `shared` can only be swapped.
   */
  readonly cached: Field<Pages>;
  /** `Shmem`: tmpfs and shared memory. */
  readonly shared: Field<Pages>;
  readonly swapTotal: Field<Pages>;
  readonly swapFree: Field<Pages>;
  /** `SwapTotal` − `SwapFree`. */
  readonly swapUsed: Field<Pages>;
  /** `SwapCached`: pages that are in swap and in RAM as well. They count in `swapUsed`. */
  readonly swapCached: Field<Pages>;
  /** `Committed_AS`: memory promised to processes, rounded up. May be larger than `total`. */
  readonly committed: Field<Pages>;
}

const FILE = '/proc/meminfo';
const GRAMMAR: NamedNumbersGrammar = {
  file: FILE,
  separator: ':',
  suffix: ' kB',
  names: new Set([
    'MemTotal',
    'MemFree',
    'MemAvailable',
    'Buffers',
    'Cached',
    'SwapCached',
    'SwapTotal',
    'SwapFree',
    'Shmem',
    'Committed_AS',
  ]),
};

/** Parses the text of `/proc/meminfo`. Never throws. */
export function parseMeminfo(text: string): Meminfo {
  const numberOf = parseNamedNumbers(text, GRAMMAR);
  const pagesOf = (name: string): Field<Pages> => mapField(numberOf(name), (size) => kibToPagesDown(kib(size)));
  const swap = splitSwap(pagesOf('SwapTotal'), pagesOf('SwapFree'));
  const parts = {
    free: pagesOf('MemFree'),
    available: pagesOf('MemAvailable'),
    buffers: pagesOf('Buffers'),
    cached: pagesOf('Cached'),
    shared: pagesOf('Shmem'),
  };
  return {
    ...refuseContradictions(pagesOf('MemTotal'), parts),
    ...swap,
    swapCached: pagesOf('SwapCached'),
    committed: mapField(numberOf('Committed_AS'), (size) => kibToPagesUp(kib(size))),
  };
}

type Parts = Pick<Meminfo, 'free' | 'available' | 'buffers' | 'cached' | 'shared'>;

/** A part larger than the whole: nobody can say which of the two is the lie, so both are implausible. */
function refuseContradictions(total: Field<Pages>, parts: Parts): Parts & Pick<Meminfo, 'total'> {
  if (!total.known) return { total, ...parts };
  if (total.value === 0) return { total: unknown('implausible', `${FILE}: MemTotal is 0`), ...parts };
  const whole = total.value;
  let checkedTotal: Field<Pages> = total;
  const check = (name: string, part: Field<Pages>): Field<Pages> => {
    if (!part.known || part.value <= whole) return part;
    checkedTotal = unknown('implausible', `${FILE}: ${name} is larger than MemTotal`);
    return checkedTotal;
  };
  const checked = {
    free: check('MemFree', parts.free),
    available: check('MemAvailable', parts.available),
    buffers: check('Buffers', parts.buffers),
    cached: check('Cached', parts.cached),
    shared: check('Shmem', parts.shared),
  };
  return { total: checkedTotal, ...checked };
}

function splitSwap(total: Field<Pages>, free: Field<Pages>): Pick<Meminfo, 'swapTotal' | 'swapFree' | 'swapUsed'> {
  if (!total.known) return { swapTotal: total, swapFree: free, swapUsed: total };
  if (!free.known) return { swapTotal: total, swapFree: free, swapUsed: free };
  if (free.value <= total.value) {
    return {
      swapTotal: total,
      swapFree: free,
      swapUsed: { known: true, value: subtractPages(total.value, free.value) },
    };
  }
  const contradiction = unknown('implausible', `${FILE}: SwapFree is larger than SwapTotal`);
  return { swapTotal: contradiction, swapFree: contradiction, swapUsed: contradiction };
}
