/**
 * `/proc/swaps`: the swap areas in use. The list is believed as a whole or not at all, for one that lacks an area would hide
 * swap. (A text cut exactly between two lines cannot be told from a shorter list.)
 *
 * Source: the kernel's mm/swapfile.c; names have blanks, tabs, newlines and backslashes as three octal digits.
 */
import { known, unknown, type Field } from '../control/signal.js';
import { kib, kibToPagesDown, type Pages } from '../units.js';
import { malformed, parseWhole, quote, refuseText } from './text.js';

/** One line of `/proc/swaps`. Sizes are pages of 4 KiB. */
export interface SwapArea {
  /** The device or file, with the kernel's escapes undone. A deleted file's name ends in ` (deleted)`. */
  readonly name: string;
  /** `partition` or `file`. */
  readonly type: string;
  /** Room for swapped pages, without the area's own header. */
  readonly size: Pages;
  readonly used: Pages;
  /** Areas of a higher priority are filled first. Below 0: set by the kernel. */
  readonly priority: number;
}

const FILE = '/proc/swaps';
const COLUMNS = 5;
const PRIORITY = /^-?\d{1,10}$/;

/** Parses the text of `/proc/swaps`; only the heading gives an empty list. Never throws. */
export function parseSwaps(text: string): Field<readonly SwapArea[]> {
  const refusal = refuseText(FILE, text);
  if (refusal !== null) return refusal;
  if (!text.endsWith('\n')) return malformed(FILE, 'cut short');
  const [heading = '', ...lines] = text.slice(0, -1).split('\n');
  if (!/^Filename[\t ]+Type[\t ]/.test(heading)) return malformed(FILE, `${quote(heading)} is not its heading`);
  const areas = new Map<string, SwapArea>();
  for (const line of lines) {
    const area = parseArea(line);
    if (!area.known) return area;
    if (areas.has(area.value.name)) return malformed(FILE, `${quote(area.value.name)} is there twice`);
    areas.set(area.value.name, area.value);
  }
  return known([...areas.values()]);
}

function parseArea(line: string): Field<SwapArea> {
  const columns = line.split(/[\t ]+/, COLUMNS + 1);
  const [name = '', type = '', sizeText = '', usedText = '', priorityText = ''] = columns;
  const size = parseWhole(sizeText);
  const used = parseWhole(usedText);
  const isWellFormed = columns.length === COLUMNS && name !== '' && type !== '' && PRIORITY.test(priorityText);
  if (!isWellFormed || size === null || used === null) return malformed(FILE, `${quote(line)} is not a swap area`);
  if (used > size) return unknown('implausible', `${FILE}: more is used of ${quote(name)} than there is`);
  return known({
    name: unescapeOctal(name),
    type,
    size: kibToPagesDown(kib(size)),
    used: kibToPagesDown(kib(used)),
    priority: Number(priorityText),
  });
}

const unescapeOctal = (name: string): string =>
  name.replace(/\\([0-3][0-7]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
