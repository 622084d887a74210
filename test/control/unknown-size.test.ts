/** Protects a host's memory from a rule that wishes without knowing what its guest holds: nobody knows what that would take. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { GuestPolicy } from '../../src/control/policy.js';
import type { GuestDescription } from '../../src/control/ports.js';
import type { Reading } from '../../src/control/reading.js';
import { knownAt, unknown } from '../../src/control/signal.js';
import { createStep, initialState } from '../../src/control/step.js';
import { DEFAULT_TUNABLES } from '../../src/control/tunables.js';
import { millis, pages } from '../../src/units.js';
import { readingOf } from '../support/readings.js';

const POOL = 'a host';
const GUEST: GuestDescription = {
  id: 'one',
  name: 'one',
  capabilities: { canSetTarget: true, hasOverflowTier: false, isSimulated: true },
  pool: POOL,
};
const AT = millis(1_000);

/** Wishes for so many pages, whatever it sees. */
const wishing = (target: number): GuestPolicy<null> => ({
  name: 'blind',
  initialMemory: null,
  firstWake: (_tunables, now) => now,
  decide: (_view, memory, now) => ({
    wish: {
      kind: 'resize',
      goal: pages(target),
      target: pages(target),
      floor: pages(0),
      reason: { code: 'below-goal', numbers: {} },
    },
    shrinkOverflowTo: null,
    memory,
    wakeAt: millis(now + 5_000),
  }),
  retune: (_change, memory, wakeAt) => ({ memory, wakeAt }),
});

/** What the guest is asked for when it is read, and its host has 400,000 pages free. */
function targetsFor(reading: Partial<Reading>): readonly number[] {
  const step = createStep(wishing(150_000));
  const settings = { tunables: DEFAULT_TUNABLES, isDryRun: false, hasFrontswap: false, limits: {} };
  const { state } = step(initialState<null>(settings), [{ kind: 'guest-came', guest: GUEST }], AT);
  const size = (count: number) => knownAt(pages(count), AT);
  const host = { pool: POOL, at: AT, total: size(500_000), free: size(400_000), reserve: pages(0) };
  const seen = { ...readingOf({ at: AT, current: pages(100_000), maximum: pages(200_000) }), ...reading };
  const { actions } = step(
    state,
    [
      { kind: 'host-reading', host },
      { kind: 'reading', guest: GUEST.id, reading: seen },
    ],
    AT,
  );
  return actions.flatMap((action) => (action.kind === 'set-target' ? [action.target] : []));
}

describe('a guest of a host whose memory is shared', () => {
  it('grows as the rule wishes where it is known what it holds, and the host has that', () => {
    assert.deepEqual(targetsFor({}), [150_000]);
  });

  it('is asked for nothing where that is not known', () => {
    assert.deepEqual(targetsFor({ current: unknown('unreadable', 'a test') }), []);
  });
});
