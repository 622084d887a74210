/**
 * Memory and time units. Everything inside the program counts `Pages` of 4 KiB; the other units exist only at the edges
 * (adapters, configuration, what people read). Brands guard the border but do not survive `+`, so arithmetic on pages
 * goes through the functions here. Page counts pass 2^31 (a 24 TiB machine has 6.4 × 10^9 of them): no bitwise operator
 * may touch one.
 */

declare const unit: unique symbol;
declare const polarity: unique symbol;

/** A number of 4 KiB pages, 0 or more. */
export type Pages = number & { readonly [unit]: 'Pages' };
/** A number of KiB (2^10 bytes), 0 or more. */
export type KiB = number & { readonly [unit]: 'KiB' };
/** A number of MiB (2^20 bytes), 0 or more. */
export type MiB = number & { readonly [unit]: 'MiB' };
/** A number of bytes, 0 or more. */
export type Bytes = number & { readonly [unit]: 'Bytes' };
/** Milliseconds: an instant on the one injected clock, or a length of time. */
export type Millis = number & { readonly [unit]: 'Millis' };
/** RAM that the guest keeps, and not what its balloon has taken from it: the two must never be mixed up. */
export type GuestSize = Pages & { readonly [polarity]: 'kept by the guest' };

/** A number that cannot be a quantity in the unit asked for. It is always a bug of the caller, never a guest's doing. */
export class UnitError extends Error {
  override readonly name = 'UnitError';
}

/** How many pages of 4 KiB a MiB is. For what people read and tests assert; sizes are made with `mibToPages`. */
export const PAGES_PER_MIB = 256;
const KIB_PER_PAGE = 4;
const BYTES_PER_PAGE = 4096;

function quantity(value: number, name: string): number {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new UnitError(`${value} is not a number of ${name}: it must be a whole number, 0 or more, below 2^53`);
  }
  return value;
}

/** Brands a checked whole number as pages; throws `UnitError` for anything else. */
export const pages = (value: number): Pages => quantity(value, 'pages') as Pages;
/** Brands a checked whole number as KiB; throws `UnitError` for anything else. */
export const kib = (value: number): KiB => quantity(value, 'KiB') as KiB;
/** Brands a checked whole number as MiB; throws `UnitError` for anything else. */
export const mib = (value: number): MiB => quantity(value, 'MiB') as MiB;
/** Brands a checked whole number as bytes; throws `UnitError` for anything else. */
export const bytes = (value: number): Bytes => quantity(value, 'bytes') as Bytes;

/** Brands a finite number as milliseconds; fractions are allowed, clocks have them. Throws `UnitError` otherwise. */
export function millis(value: number): Millis {
  if (!Number.isFinite(value)) throw new UnitError(`${value} is not a number of milliseconds`);
  return value as Millis;
}

/** 0 pages. */
export const NO_PAGES = pages(0);

/** `seconds` may be a fraction, and below 0. Throws `UnitError` for what is not finite. */
export const secondsToMillis = (seconds: number): Millis => millis(seconds * 1000);
/** The earlier of two times, or the shorter of two durations. */
export const minMillis = (a: Millis, b: Millis): Millis => (a < b ? a : b);

/** The later of two times, or the longer of two durations. */
export const maxMillis = (a: Millis, b: Millis): Millis => (a > b ? a : b);
/** The time that is `length` after `at`, or two durations together. Throws `UnitError` where that is not finite. */
export const addMillis = (at: Millis, length: Millis): Millis => millis(at + length);

/** `MB2PAGES` of the specification: MiB × 256. Throws `UnitError` from 2^45 MiB on. */
export const mibToPages = (size: MiB): Pages => pages(size * PAGES_PER_MIB);
/** Pages × 4. Throws `UnitError` from 2^51 pages on. */
export const pagesToKib = (count: Pages): KiB => kib(count * KIB_PER_PAGE);
/** Pages × 4096. Throws `UnitError` from 2^41 pages (8 PiB) on. */
export const pagesToBytes = (count: Pages): Bytes => bytes(count * BYTES_PER_PAGE);
/** Whole MiB in `count`: a part of one is dropped. Never throws, as those below. */
export const pagesToMibDown = (count: Pages): MiB => mib(Math.floor(count / PAGES_PER_MIB));
/** Whole pages in `size`. */
export const kibToPagesDown = (size: KiB): Pages => pages(Math.floor(size / KIB_PER_PAGE));
/** As many pages as `size` takes. */
export const kibToPagesUp = (size: KiB): Pages => pages(Math.ceil(size / KIB_PER_PAGE));
/** Whole pages in `size`. */
export const bytesToPagesDown = (size: Bytes): Pages => pages(Math.floor(size / BYTES_PER_PAGE));
/** As many pages as `size` takes. */
export const bytesToPagesUp = (size: Bytes): Pages => pages(Math.ceil(size / BYTES_PER_PAGE));

/** `a + b`, which is not checked: no machine comes near 2^53 pages. */
export const addPages = (a: Pages, b: Pages): Pages => (a + b) as Pages;
/** `a − b`; throws `UnitError` below zero, for a wrapped page count is how hosts die. */
export const subtractPages = (a: Pages, b: Pages): Pages => pages(a - b);
/** `a − b`, or 0 where that would be below zero. */
export const subtractToZero = (a: Pages, b: Pages): Pages => (a > b ? a - b : 0) as Pages;
/** The smaller of two sizes. */
export const minPages = (a: Pages, b: Pages): Pages => (a < b ? a : b);
/** The larger of two sizes. */
export const maxPages = (a: Pages, b: Pages): Pages => (a > b ? a : b);
/** Integer division that truncates, as the specification has it. `divisor` must be 1 or more. */
export const dividePages = (a: Pages, divisor: number): Pages => Math.floor(a / divisor) as Pages;

/** Says that this number of pages is what a guest keeps. */
export const guestSize = (count: Pages): GuestSize => count as GuestSize;
