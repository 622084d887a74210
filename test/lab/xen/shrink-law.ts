/** Specification 1's self-shrinking, against a journal out of the lab. */
import assert from 'node:assert/strict';
import { valueOf, type Decided } from './journal.js';
import { shrinkStepOf, type ShrinkMemory } from './specification.js';

/** Besides an interval: a look that is older when it is decided about is not believed (docs/decisions/0011). */
const GRACE_MS = 1_000;

/**
 * Asserts that at each decision the tier was asked for what the specification says. Where a busy machine took so long that the look was
 * too old by then, nothing may be asked for, and nothing is remembered. Returns how many were decided by the law.
 */
export function assertShrinksByLaw(
  decided: readonly Decided[],
  law: { readonly hysteresis: number; readonly inertia: number },
): number {
  let memory: ShrinkMemory = { seen: 0, countdown: 0 };
  let lawful = 0;
  for (const one of decided) {
    const { shrinkOverflowTo } = one.decision;
    if (isTooOld(one)) {
      assert.equal(shrinkOverflowTo, null, 'pages were asked home on a look that was too old');
      continue;
    }
    const step = shrinkStepOf(memory, valueOf(one.reading.overflowUsed), law);
    memory = step;
    assert.equal(shrinkOverflowTo, step.to);
    lawful += 1;
  }
  return lawful;
}

function isTooOld({ step, reading, tunables }: Decided): boolean {
  const { overflowUsed } = reading;
  const ageMax = Number(tunables['selfballoon_interval']) * 1_000 + GRACE_MS;
  return overflowUsed.known && step.at - overflowUsed.at > ageMax;
}
