/**
 * `/sys/block/zramN/mm_stat`: what a compressed RAM disk holds and what it costs. One line of columns without names, which
 * grew over the years; columns that this kernel does not have are unknown.
 *
 * Source: the kernel's Documentation/admin-guide/blockdev/zram.rst, "mm_stat".
 */
import { known, mapField, unknown, type Field } from '../control/signal.js';
import { bytes, bytesToPagesUp, pages, type Pages } from '../units.js';
import { malformed, parseWhole, quote, refuseText } from './text.js';

/** Everything in pages of 4 KiB; the kernel's bytes are rounded up. */
export interface ZramUsage {
  /** `orig_data_size`: pages stored in the device, as large as they were before. Old kernels leave `samePages` out. */
  readonly stored: Pages;
  /** `compr_data_size`: the stored data, compressed. */
  readonly compressed: Pages;
  /** `mem_used_total`: RAM that it takes, with what the allocator wastes. What the guest pays. */
  readonly memoryUsed: Pages;
  /** `mem_limit`: RAM that it may take; null = no limit (the kernel prints 0). */
  readonly memoryLimit: Pages | null;
  /** `mem_used_max`: the most RAM that it has taken. */
  readonly memoryUsedMax: Pages;
  /** `same_pages`: stored pages filled with one word, which take no RAM. */
  readonly samePages: Pages;
  /** `pages_compacted`: RAM freed by compaction since the device was set up. */
  readonly compactedPages: Pages;
  /** `huge_pages`: stored pages that could not be compressed. Linux 4.18 and later. */
  readonly incompressiblePages: Field<Pages>;
  /** `huge_pages_since`: such pages ever stored. Linux 5.11 and later. */
  readonly incompressiblePagesEver: Field<Pages>;
}

const FILE = 'mm_stat';
const COLUMNS_MIN = 7;
/** No kernel has more than 9; later ones may. A line of thousands is not one of theirs. */
const COLUMNS_MAX = 32;

/** Parses the text of one device's `mm_stat`. Never throws. */
export function parseZramUsage(text: string): Field<ZramUsage> {
  const refusal = refuseText(FILE, text);
  if (refusal !== null) return refusal;
  if (!text.endsWith('\n')) return malformed(FILE, 'cut short');
  const columns = text
    .slice(0, -1)
    .replace(/^ +/, '')
    .split(/ +/, COLUMNS_MAX + 1);
  const numbers = columns.map((column) => parseWhole(column)).filter((number) => number !== null);
  if (numbers.length !== columns.length || columns.length < COLUMNS_MIN || columns.length > COLUMNS_MAX) {
    return malformed(FILE, `${quote(text)} is not ${COLUMNS_MIN} or more numbers`);
  }
  return known(readColumns(numbers));
}

function readColumns(numbers: readonly number[]): ZramUsage {
  const [stored = 0, compressed = 0, used = 0, limit = 0, usedMax = 0, same = 0, compacted = 0] = numbers;
  const fromBytes = (size: number): Pages => bytesToPagesUp(bytes(size));
  return {
    stored: fromBytes(stored),
    compressed: fromBytes(compressed),
    memoryUsed: fromBytes(used),
    memoryLimit: limit === 0 ? null : fromBytes(limit),
    memoryUsedMax: fromBytes(usedMax),
    samePages: pages(same),
    compactedPages: pages(compacted),
    incompressiblePages: laterColumn(numbers[7], 'huge_pages'),
    incompressiblePagesEver: laterColumn(numbers[8], 'huge_pages_since'),
  };
}

function laterColumn(count: number | undefined, name: string): Field<Pages> {
  const field = count === undefined ? unknown('not-reported', `${FILE} has no ${name}`) : known(count);
  return mapField(field, pages);
}
