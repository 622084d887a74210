/** Whether a guest has changed enough for a new report. It does not know when the last one was sent. */
import type { Signals } from '../control/reading.js';
import { knownValue, type Signal } from '../control/signal.js';
import { REPORTED_SIZES } from '../signals/report.js';
import { mib, mibToPages, type Pages } from '../units.js';

/** Less than this is not worth a message; a thirtieth of the least change that Qubes' guests tell. */
const SIZE_CHANGE_MIN = mibToPages(mib(1));
const PERCENT_CHANGE_MIN = 1;

const SIZES = [...REPORTED_SIZES, 'maxPfn'] as const;

/** Whether `after` says something that `before` did not. */
export function hasChanged(before: Signals, after: Signals): boolean {
  return (
    SIZES.some((name) => isOtherSize(before[name], after[name])) ||
    knownValue(before.oomKills) !== knownValue(after.oomKills) ||
    isOtherPressure(before, after)
  );
}

function isOtherSize(before: Signal<Pages>, after: Signal<Pages>): boolean {
  if (!before.known || !after.known) return before.known !== after.known;
  return Math.abs(before.value - after.value) >= SIZE_CHANGE_MIN;
}

function isOtherPressure({ pressure: before }: Signals, { pressure: after }: Signals): boolean {
  if (!before.known || !after.known) return before.known !== after.known;
  const moved = (name: 'somePercent' | 'fullPercent'): number => Math.abs(before.value[name] - after.value[name]);
  return Math.max(moved('somePercent'), moved('fullPercent')) >= PERCENT_CHANGE_MIN;
}
