/**
 * Sets a pressure trigger: asks the kernel to say at once when tasks have waited for memory for so long within a time window.
 * It knows what the kernel takes and why it refuses; how the kernel's word is waited for is the caller's.
 *
 * Source: the kernel's Documentation/accounting/psi.rst, "Monitoring for pressure thresholds".
 */
import { closeSync, constants, openSync, statfsSync, writeSync } from 'node:fs';
import { errorText, systemErrorCode } from '../errors.js';
import { millis, type Millis } from '../units.js';

/** When the kernel is to speak: of so much waiting within so long. */
export interface TriggerSettings {
  /** How long tasks must have waited in sum, more than 0, at most `window`. */
  readonly stall: Millis;
  /** Within which time, 500 ms to 10 s. The kernel speaks at most once in each. */
  readonly window: Millis;
}

export type TriggerOutcome =
  | {
      readonly kind: 'set';
      /** The trigger lives as long as this is open. Whoever asked for it closes it. */
      readonly descriptor: number;
      /** What was set: what was asked for, or what the kernel takes from a process without privileges. */
      readonly settings: TriggerSettings;
    }
  | {
      readonly kind: 'refused';
      readonly why: string;
      /** Asking again will give the same answer. */
      readonly isForGood: boolean;
    };

/** Sets the trigger that was asked for, or else the widened one. Throws nothing. */
export type SetTrigger = (path: string, asked: TriggerSettings) => TriggerOutcome;

/**
 * A process without CAP_SYS_RESOURCE may set a trigger whose window is a multiple of this (psi.rst; Linux 6.5 and newer).
 * It answers more slowly: the kernel then looks every 2 s, and not ten times in each window.
 */
const UNPRIVILEGED_WINDOW_MS = 2000;
const WINDOW_MS_MAX = 10_000;
/** In twice the window half as much again makes as much noise as the shorter stall in the shorter window. */
const WIDENED_STALL_FACTOR = 1.5;
const PROC_MAGIC = 0x9fa0;

const MISSING = 'this kernel has no memory pressure (PSI); boot it with psi=1';
const REFUSALS: ReadonlyMap<string, string> = new Map([
  ['ENOENT', MISSING],
  ['ENOTDIR', MISSING],
  ['ENOTSUP', MISSING],
  ['EOPNOTSUPP', MISSING],
  ['EACCES', 'this user may not set it; run as root'],
  ['EPERM', 'this process may not set it; run as root with CAP_SYS_RESOURCE'],
  ['EROFS', '/proc is mounted read-only, as in a container'],
]);

/** What a process without privileges may set instead; null where that is no different. */
export function widenTrigger({ stall, window }: TriggerSettings): TriggerSettings | null {
  const windows = Math.ceil(window / UNPRIVILEGED_WINDOW_MS);
  const wide = Math.min(windows * UNPRIVILEGED_WINDOW_MS, WINDOW_MS_MAX);
  if (wide === window) return null;
  return { stall: millis(Math.min(stall * WIDENED_STALL_FACTOR, wide)), window: millis(wide) };
}

/** What is written to the file: microseconds, and the NUL with which the kernel's parser ends. */
export const triggerText = ({ stall, window }: TriggerSettings): string =>
  `some ${Math.round(stall * 1000)} ${Math.round(window * 1000)}\0`;

/** Sets a trigger in the kernel's file at `path`, `/proc/pressure/memory` on a real machine. */
export const setTrigger: SetTrigger = (path, asked) => {
  const narrow = trySettings(path, asked);
  const wide = widenTrigger(asked);
  // EINVAL is all that the kernel says of a window that it does not take from this process.
  if (narrow.kind !== 'invalid') return narrow;
  const second = wide === null ? narrow : trySettings(path, wide);
  if (second.kind !== 'invalid') return second;
  return { kind: 'refused', why: `${path} takes no such trigger (${second.why})`, isForGood: true };
};

function trySettings(
  path: string,
  settings: TriggerSettings,
): TriggerOutcome | { readonly kind: 'invalid'; readonly why: string } {
  let descriptor: number | null = null;
  try {
    descriptor = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    if (statfsSync(path).type !== PROC_MAGIC) return refuse(descriptor, `${path} is not the kernel's file`);
    writeSync(descriptor, triggerText(settings));
    return { kind: 'set', descriptor, settings };
  } catch (error) {
    if (descriptor !== null) closeSync(descriptor);
    const code = systemErrorCode(error);
    if (code === null) throw error;
    if (code === 'EINVAL') return { kind: 'invalid', why: errorText(error) };
    const known = REFUSALS.get(code);
    return { kind: 'refused', why: known ?? `${path}: ${errorText(error)}`, isForGood: known !== undefined };
  }
}

function refuse(descriptor: number, why: string): TriggerOutcome {
  closeSync(descriptor);
  return { kind: 'refused', why, isForGood: true };
}
