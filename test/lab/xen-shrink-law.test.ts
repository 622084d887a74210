/** Protects the lab's judgement of self-shrinking: it calls right what is right on a slow machine too, and nothing else. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Event } from '../../src/control/events.js';
import type { GuestDescription } from '../../src/control/ports.js';
import { createStep, initialState } from '../../src/control/step.js';
import { DEFAULT_TUNABLES } from '../../src/control/tunables.js';
import { selfPolicy } from '../../src/policies/index.js';
import { millis, type Millis } from '../../src/units.js';
import { readingOf } from '../support/readings.js';
import { decidedIn, type Decided } from './xen/journal.js';
import { assertShrinksByLaw } from './xen/shrink-law.js';

const LAW = { hysteresis: 4, inertia: 2 };
const TUNABLES = {
  ...DEFAULT_TUNABLES,
  selfballooning: 0,
  selfballoon_interval: 1,
  frontswap_hysteresis: LAW.hysteresis,
  frontswap_inertia: LAW.inertia,
} as const;
const GUEST: GuestDescription = {
  id: 'fake/web',
  name: 'web',
  capabilities: { canSetTarget: true, hasOverflowTier: true, isSimulated: true },
};

/** What the program decides, second for second, in a guest with 64 pages in swap; the look at `slow` takes three of them. */
function decidedOver(seconds: number, slow: number | null): readonly Decided[] {
  const run = createStep(selfPolicy);
  const settings = { tunables: TUNABLES, isDryRun: false, hasFrontswap: true, limits: {} };
  let state = initialState<ReturnType<typeof selfPolicy.decide>['memory']>(settings);
  const start = { kind: 'start', state: { tunables: TUNABLES } };
  const steps: unknown[] = [];
  const tell = (now: number, event: Event): void => {
    const { actions, decisions, wakeAt, state: after } = run(state, [event], millis(now));
    state = after;
    steps.push({ kind: 'step', at: now, events: [event], actions, decisions, wakeAt });
  };
  tell(0, { kind: 'guest-came', guest: GUEST });
  let now = 0;
  for (let round = 0; round < seconds; round += 1) {
    tell(now, { kind: 'time-passed' });
    const at: Millis = millis(now);
    if (round === slow) now += 3_000;
    tell(now, { kind: 'reading', guest: GUEST.id, reading: readingOf({ at, overflowUsed: 64 }) });
    now += 1_000;
  }
  return decidedIn({ start, steps } as unknown as Parameters<typeof decidedIn>[0]);
}

describe('the law of self-shrinking, read off a journal', () => {
  it('holds where every look came in time', () => {
    const decided = decidedOver(12, null);
    assert.ok(decided.some(({ decision }) => decision.shrinkOverflowTo === 48));
    assert.equal(assertShrinksByLaw(decided, LAW), decided.length);
  });

  it('holds where one look was too old when it was decided about: nothing was asked for then', () => {
    const decided = decidedOver(12, 8);
    assert.equal(assertShrinksByLaw(decided, LAW), decided.length - 1);
  });

  it('does not where something was asked for on a look that was too old, or nothing on one that was not', () => {
    const decided = decidedOver(12, 8);
    const changed = (from: number | null, to: number | null, isOld: boolean): readonly Decided[] =>
      decided.map((one) => {
        const { step, reading, decision } = one;
        const is = decision.shrinkOverflowTo === from && step.at - reading.at > 2_000 === isOld;
        return is ? { ...one, decision: { ...decision, shrinkOverflowTo: to } as typeof decision } : one;
      });
    assert.throws(() => assertShrinksByLaw(changed(null, 48, true), LAW), /too old/);
    assert.throws(() => assertShrinksByLaw(changed(48, null, false), LAW));
  });
});
