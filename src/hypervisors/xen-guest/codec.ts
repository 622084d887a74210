/**
 * The Xen balloon driver's attribute files: text ↔ sizes. Everything in them counts KiB of what the guest *keeps* (never the
 * balloon's size); `info/low_kb` and `info/high_kb` alone count what has been taken. It knows nothing of files.
 *
 * Source: the kernel's Documentation/ABI/stable/sysfs-devices-system-xen_memory.
 */
import { known, unknown, type Field } from '../../control/signal.js';
import { quoted } from '../../errors.js';
import {
  addPages,
  guestSize,
  kib,
  kibToPagesDown,
  pagesToKib,
  type GuestSize,
  type KiB,
  type Pages,
} from '../../units.js';

/** Digits, and the newline that the kernel adds. */
const KIB_TEXT = /^(\d{1,16})\n?$/;

/** Largest number of pages whose KiB are a safe integer. */
const TARGET_PAGES_MAX = Math.floor(Number.MAX_SAFE_INTEGER / 4);

/** Parses one attribute, as KiB. Never throws. */
export function parseKib(attribute: string, text: string): Field<KiB> {
  const digits = KIB_TEXT.exec(text)?.[1];
  const value = Number(digits);
  if (digits !== undefined && Number.isSafeInteger(value)) return known(kib(value));
  return unknown('malformed', `${attribute} has ${quoted(text, 40)}, not a number of KiB`);
}

/** What is written to `target_kb`; null for a target that must never be asked for: 0, or 2^53 KiB and more. */
export function formatTarget(target: GuestSize): string | null {
  if (target === 0 || target > TARGET_PAGES_MAX) return null;
  return `${pagesToKib(target)}\n`;
}

/** The texts of `target_kb`, `info/current_kb`, `info/low_kb` and `info/high_kb`. */
export interface InfoTexts {
  readonly target: Field<string>;
  readonly current: Field<string>;
  readonly low: Field<string>;
  readonly high: Field<string>;
}

export interface BalloonSizes {
  /** What the guest keeps now. */
  readonly current: Field<GuestSize>;
  /** What it was last told to keep. */
  readonly target: Field<Pages>;
  /** What it would keep if all came back that is on the balloon's list now: `current + low + high`. Off by some MiB while it moves. */
  readonly maximum: Field<Pages>;
}

/** Reads the driver's files. An unknown part makes the sum unknown, with the part's reason. */
export function balloonSizes(texts: InfoTexts): BalloonSizes {
  const current = pagesIn('info/current_kb', texts.current);
  const low = pagesIn('info/low_kb', texts.low);
  const high = pagesIn('info/high_kb', texts.high);
  const target = pagesIn('target_kb', texts.target);
  return { current: plausibleCurrent(current), target, maximum: sum(plausibleCurrent(current), low, high) };
}

function pagesIn(attribute: string, text: Field<string>): Field<Pages> {
  if (!text.known) return text;
  const size = parseKib(attribute, text.value);
  return size.known ? known(kibToPagesDown(size.value)) : size;
}

/** A guest that runs this line keeps something. */
function plausibleCurrent(current: Field<Pages>): Field<GuestSize> {
  if (!current.known) return current;
  if (current.value === 0) return unknown('implausible', 'info/current_kb is 0');
  return known(guestSize(current.value));
}

function sum(...parts: readonly Field<Pages>[]): Field<Pages> {
  return parts.reduce((left, right) => {
    if (!left.known) return left;
    return right.known ? known(addPages(left.value, right.value)) : right;
  });
}
