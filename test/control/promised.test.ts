/** Protects the sum of what a host's guests were promised: kept from guest to guest, it is at any time what counting anew gives. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { GuestState } from '../../src/control/guest-state.js';
import { Promised, promisedWhere } from '../../src/control/promised.js';
import { beginPursuit } from '../../src/control/pursuit.js';
import { createStep, initialState } from '../../src/control/step.js';
import { DEFAULT_TUNABLES } from '../../src/control/tunables.js';
import { selfPolicy, type SelfshrinkMemory } from '../../src/policies/index.js';
import { millis, pages } from '../../src/units.js';
import { readingOf } from '../support/readings.js';
import { useSeed } from '../support/seed.js';

useSeed();

const POOLS = ['one', 'two', null] as const;
const GUESTS = 5;

/** A guest as it is when it has come. */
const FRESH = freshGuest();

function freshGuest(): GuestState<SelfshrinkMemory> {
  const capabilities = { canSetTarget: true, hasOverflowTier: false, isSimulated: true };
  const guest = { id: 'sim/a', name: 'a', capabilities };
  const settings = { tunables: DEFAULT_TUNABLES, isDryRun: false, hasFrontswap: true, limits: {} };
  const begin = initialState<SelfshrinkMemory>(settings);
  const { state } = createStep(selfPolicy)(begin, [{ kind: 'guest-came', guest }], millis(0));
  return state.guests.get('sim/a') ?? assert.fail('it has not come');
}

const guestIn = fc
  .record({
    pool: fc.constantFrom(...POOLS),
    held: fc.option(fc.nat(1_000_000)),
    target: fc.option(fc.nat(1_000_000)),
  })
  .map(({ pool, held, target }): GuestState<unknown> => {
    return {
      ...FRESH,
      guest: pool === null ? FRESH.guest : { ...FRESH.guest, pool },
      reading: held === null ? null : readingOf({ current: held }),
      pursuit:
        target === null ? null : beginPursuit(null, { id: 1, target: pages(target), current: null, now: millis(0) }),
    };
  });

const change = fc.record({ place: fc.nat(GUESTS - 1), to: guestIn, isForgotten: fc.boolean() });

describe('what the guests of a host were promised', () => {
  it('is the sum over them, whichever of them changed in between, and into which pool', () => {
    const start = fc.array(guestIn, { minLength: GUESTS, maxLength: GUESTS });
    const changes = fc.array(change, { maxLength: 30 });
    fc.assert(
      fc.property(start, changes, (guests, following) => {
        let promised = new Promised(new Map());
        const states = guests.slice();
        for (const { place, to, isForgotten } of following) {
          checkAll(promised, states);
          promised.replace(states[place] ?? assert.fail(), to);
          states[place] = to;
          if (isForgotten) promised.forget();
          else promised = new Promised(promised.sums);
        }
        checkAll(promised, states);
      }),
    );
  });
});

/** Of each pool, of all its guests and without each of them. */
function checkAll(promised: Promised, states: readonly GuestState<unknown>[]): void {
  for (const pool of ['one', 'two'])
    for (const but of [undefined, ...states]) {
      const counted = promisedWhere(states, (state) => state.guest.pool === pool && state !== but);
      assert.equal(promised.in(pool, states, but), counted);
    }
}
