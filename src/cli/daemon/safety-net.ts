/**
 * Is there really something that catches what a smaller guest must swap out: the overflow tier, and enough swap in all? Asked
 * before anything is asked of the guest. What follows from a missing tier is the start-up
 * rule's to decide.
 */
import type { OverflowTier } from '../../control/ports.js';
import { SelfballoonError } from '../../errors.js';
import { checkSwap, type SwapSeen } from '../doctor/memory.js';

export interface NetOptions {
  readonly isDryRun: boolean;
  readonly warn: (message: string) => void;
}

/** Whether the tier is there and has room. Warns with the reason where it is not. A dry run goes on without it, watching. */
export async function isTierPresent(tier: OverflowTier, { isDryRun, warn }: NetOptions): Promise<boolean> {
  const seen = await tier.read();
  if (seen.kind === 'present' && seen.total > 0) return true;
  const why = seen.kind === 'absent' ? seen.why : 'the swap stripes have no room at all';
  warn(
    isDryRun
      ? `the overflow tier is not there: ${why}. A real run would not start; this dry run only watches until a stripe is switched on`
      : `the overflow tier is not there: ${why}`,
  );
  return isDryRun;
}

/** Throws `ENODEV` when there is no swap, or nobody knows how much. Warns when it is less than the guest's memory. */
export function requireSwap(seen: SwapSeen, { isDryRun, warn }: NetOptions): void {
  const { level, what, advice } = checkSwap(seen);
  if (level === 'ok') return;
  const said = `a guest without enough swap must not self-balloon: ${what}`;
  if (level === 'fail' && !isDryRun) {
    throw new SelfballoonError({
      code: 'ENODEV',
      message: `not started: ${said}`,
      ...(advice === null ? {} : { advice }),
    });
  }
  warn([said, advice].filter((part) => part !== null).join('. '));
}
