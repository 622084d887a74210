/** Numbers as virsh prints them, each checked: what is not as it should be is null. Nothing here throws. */
import { kib, type KiB } from '../units.js';

/** A whole number, 0 to 2^53 − 1. */
export function countIn(text: string | undefined): number | null {
  if (text === undefined || !/^\d{1,16}$/.test(text)) return null;
  const count = Number(text);
  return Number.isSafeInteger(count) ? count : null;
}

/** The same, of KiB. */
export function kibIn(text: string | undefined): KiB | null {
  const count = countIn(text);
  return count === null ? null : kib(count);
}
