/**
 * The tunables, one table. `get` and `set`, the attribute files, the configuration file, the HTTP interface and the reference
 * page are all driven by it. It decides what text is accepted; it does not know where a write came from.
 *
 * Source: specification 1, "Tunables" and "Where we differ on purpose".
 */
import { quoted } from '../errors.js';

/** Largest value a tunable takes. The old driver cut larger ones to 32 bits without a word; ours refuses them. */
export const TUNABLE_MAX = 4_294_967_295;

/** Stands for "10 % of the RAM the guest's kernel manages now" in `selfballoon_reserved_mb`. */
export const AUTOMATIC = 'auto';

/** The tunables' values, by the names that the kernel driver gave them. Whole numbers from 0 to `TUNABLE_MAX`, one also `AUTOMATIC`; `TUNABLES` has the units. */
export interface Tunables {
  readonly selfballooning: number;
  readonly selfballoon_interval: number;
  readonly selfballoon_downhysteresis: number;
  readonly selfballoon_uphysteresis: number;
  readonly selfballoon_min_usable_mb: number;
  readonly selfballoon_reserved_mb: number | typeof AUTOMATIC;
  readonly frontswap_selfshrinking: number;
  readonly frontswap_hysteresis: number;
  readonly frontswap_inertia: number;
}

/** The name of a tunable. */
export type TunableName = keyof Tunables;

/** What is known of a tunable. `min` and `max` are the least and the most that can be written; a default may lie outside. */
export interface TunableRow {
  readonly name: TunableName;
  readonly unit: string;
  readonly default: number | typeof AUTOMATIC;
  readonly min: number;
  readonly max: number;
  /** Takes the word `auto` as well as a number. */
  readonly takesAutomatic: boolean;
  /** Exists only where there is a frontswap, or what stands in for it. */
  readonly needsFrontswap: boolean;
  readonly summary: string;
}

const row = (
  name: TunableName,
  unit: string,
  fallback: number,
  range: { readonly min: number; readonly max: number },
  summary: string,
): TunableRow => ({
  name,
  unit,
  default: fallback,
  ...range,
  takesAutomatic: false,
  needsFrontswap: name.startsWith('frontswap_'),
  summary,
});

const SWITCH = { min: 0, max: 1 };
const POSITIVE = { min: 1, max: TUNABLE_MAX };

/** Every tunable, in the order in which they are shown. The switches' defaults here are what is *wanted*; start-up decides. */
export const TUNABLES: readonly TunableRow[] = [
  row('selfballooning', 'switch', 1, SWITCH, 'Move the balloon towards what the guest needs.'),
  row('selfballoon_interval', 'seconds', 5, POSITIVE, 'Time between two steps.'),
  row('selfballoon_downhysteresis', 'divisor', 8, POSITIVE, 'Damps giving memory up: larger is slower.'),
  row('selfballoon_uphysteresis', 'divisor', 1, POSITIVE, 'Damps taking memory back: larger is slower.'),
  {
    ...row('selfballoon_min_usable_mb', 'MiB', 0, POSITIVE, 'Least usable memory. 0 (the default) sets it by size.'),
  },
  {
    ...row('selfballoon_reserved_mb', 'MiB', 0, { min: 0, max: TUNABLE_MAX }, 'Room above what is committed.'),
    default: AUTOMATIC,
    takesAutomatic: true,
    summary: 'Room above what is committed. auto (the default) is 10 % of the RAM that the guest has now.',
  },
  row('frontswap_selfshrinking', 'switch', 1, SWITCH, 'Bring pages home from the overflow tier when it is quiet.'),
  row('frontswap_hysteresis', 'divisor', 20, POSITIVE, 'Damps bringing pages home: larger is slower.'),
  row('frontswap_inertia', 'steps', 3, POSITIVE, 'Quiet steps to wait before pages are brought home.'),
];

/** The product's defaults, with both controllers wanted. */
export const DEFAULT_TUNABLES: Tunables = {
  selfballooning: 1,
  selfballoon_interval: 5,
  selfballoon_downhysteresis: 8,
  selfballoon_uphysteresis: 1,
  selfballoon_min_usable_mb: 0,
  selfballoon_reserved_mb: AUTOMATIC,
  frontswap_selfshrinking: 1,
  frontswap_hysteresis: 20,
  frontswap_inertia: 3,
};

/** The row of a tunable, or null where there is none of that name. */
export function findTunable(name: string): TunableRow | null {
  return TUNABLES.find((candidate) => candidate.name === name) ?? null;
}

/** What a read of a tunable gives, without the newline that an attribute file adds. */
export const formatTunable = (tunables: Tunables, name: TunableName): string => String(tunables[name]);

/** What `text` may be, in words, for messages. */
export function acceptedText(of: TunableRow): string {
  const range = of.max === 1 ? '0 or 1' : `a whole number from ${of.min} to ${of.max}`;
  return of.takesAutomatic ? `${range}, or ${AUTOMATIC}` : range;
}

/** A write as it was asked for: `text` has not been looked at yet. */
export interface TunableWrite {
  readonly name: string;
  readonly text: string;
  /** Whether the writer has the administrator's right. Checked before the text is looked at. */
  readonly mayChange: boolean;
  /** Whether a frontswap, or what stands in for it, is there. */
  readonly hasFrontswap: boolean;
}

/** The tunables with the new value; or why nothing was changed. */
export type TunableWriteResult =
  | { readonly result: 'ok'; readonly name: TunableName; readonly tunables: Tunables }
  | { readonly result: 'EPERM' | 'EINVAL' | 'ENOENT'; readonly why: string };

/** Writes one tunable. A refused write changes nothing, and says why. */
export function writeTunable(tunables: Tunables, write: TunableWrite): TunableWriteResult {
  const found = findTunable(write.name);
  if (found === null) return { result: 'ENOENT', why: `there is no tunable ${write.name}` };
  if (found.needsFrontswap && !write.hasFrontswap) {
    return { result: 'ENOENT', why: `${write.name} exists only where there is an overflow tier for swapped pages` };
  }
  if (!write.mayChange) return { result: 'EPERM', why: `changing ${write.name} needs the administrator's right` };
  const value = parseTunable(found, write.text);
  if (value === null) {
    return { result: 'EINVAL', why: `${write.name} takes ${acceptedText(found)}, not ${quoted(write.text)}` };
  }
  return { result: 'ok', name: found.name, tunables: { ...tunables, [found.name]: value } };
}

/** An optional `+`, digits, at most one newline; nothing else. Null when the text or its value is not accepted. */
function parseTunable(of: TunableRow, text: string): number | typeof AUTOMATIC | null {
  const body = text.endsWith('\n') ? text.slice(0, -1) : text;
  if (of.takesAutomatic && body === AUTOMATIC) return AUTOMATIC;
  if (!/^\+?[0-9]+$/.test(body)) return null;
  const value = Number(body);
  return value >= of.min && value <= of.max ? value : null;
}
