/** Protects the policy's edges: what it does with unknown signals, switches, written tunables and the reserved room. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DEFAULT_TUNABLES, type Tunables } from '../../src/control/tunables.js';
import { unknown } from '../../src/control/signal.js';
import type { Reading } from '../../src/control/reading.js';
import { scheduledBy, selfPolicy } from '../../src/policies/index.js';
import { millis, pages } from '../../src/units.js';
import { readingOf } from '../support/readings.js';

const NOW = millis(1_000_000);
const reading = (given: Parameters<typeof readingOf>[0] = {}): Reading => readingOf({ at: NOW, ...given });
const tunables = (changes: Partial<Tunables> = {}): Tunables => ({ ...DEFAULT_TUNABLES, ...changes });

function decide(given: {
  reading?: Reading;
  tunables?: Partial<Tunables>;
  hasOverflowTier?: boolean;
}): ReturnType<typeof selfPolicy.decide> {
  const view = {
    reading: given.reading ?? reading(),
    tunables: tunables(given.tunables),
    hasOverflowTier: given.hasOverflowTier ?? true,
  };
  return selfPolicy.decide(view, selfPolicy.initialMemory, NOW);
}

describe('what is not known', () => {
  for (const name of ['total', 'reserve', 'maxPfn', 'committed', 'current', 'overflowUsed'] as const) {
    it(`holds while ${name} is unknown, and says so`, () => {
      const { wish, wakeAt } = decide({ reading: { ...reading(), [name]: unknown('malformed', 'it read "12x"') } });
      assert.equal(wish.kind, 'hold');
      assert.equal(wish.reason.code, 'signal-unknown');
      assert.equal(wish.reason.detail, `${name}: malformed, it read "12x"`);
      assert.equal(wakeAt, NOW + 5_000);
    });
  }

  it('holds while its tier cannot be seen, with self-shrinking off too: nothing might catch what it must swap', () => {
    const given = { ...reading(), overflowUsed: unknown('unreadable', 'all stripes are off') };
    assert.equal(
      decide({ reading: given, tunables: { frontswap_selfshrinking: 0 } }).wish.reason.code,
      'signal-unknown',
    );
  });

  it('does not need the overflow tier where there is none', () => {
    const given = { ...reading(), overflowUsed: unknown('not-reported', 'no tier') };
    assert.equal(decide({ reading: given, hasOverflowTier: false }).wish.kind, 'resize');
  });

  it('holds on inputs that contradict each other', () => {
    const given = reading({ reserve: 300_000, maxPfn: 200_000 });
    assert.equal(decide({ reading: given }).wish.reason.code, 'implausible');
  });
});

describe('the reserved room', () => {
  const goalWith = (reserved: Tunables['selfballoon_reserved_mb']): number => {
    const { wish } = decide({ tunables: { selfballoon_reserved_mb: reserved } });
    return wish.kind === 'resize' ? wish.goal : Number.NaN;
  };

  it('is a tenth of the guest’s RAM by default', () => {
    assert.equal(goalWith('auto') - goalWith(0), Math.floor(131_072 / 10));
  });

  it('is what the administrator says in MiB', () => {
    assert.equal(goalWith(64) - goalWith(0), 64 * 256);
  });
});

describe('the switches', () => {
  it('holds with selfballooning at 0, while self-shrinking goes on', () => {
    const { wish, wakeAt } = decide({ tunables: { selfballooning: 0 } });
    assert.equal(wish.reason.code, 'switched-off');
    assert.equal(wakeAt, NOW + 5_000);
  });

  it('does not come again with both off, nor with only self-shrinking on and nothing to shrink', () => {
    assert.equal(decide({ tunables: { selfballooning: 0, frontswap_selfshrinking: 0 } }).wakeAt, null);
    assert.equal(decide({ tunables: { selfballooning: 0 }, hasOverflowTier: false }).wakeAt, null);
  });

  it('starts one interval after it is switched on', () => {
    const before = tunables({ selfballooning: 0, frontswap_selfshrinking: 0 });
    const after = { ...before, selfballooning: 1, selfballoon_interval: 9 };
    const change = { name: 'selfballooning', before, after } as const;
    assert.equal(scheduledBy(change), 9);
    assert.equal(selfPolicy.retune(change, selfPolicy.initialMemory, null, NOW).wakeAt, NOW + 9_000);
  });

  it('does not start self-shrinking a second time when self-ballooning already runs the step', () => {
    const before = tunables({ frontswap_selfshrinking: 0 });
    const after = { ...before, frontswap_selfshrinking: 1 };
    assert.equal(scheduledBy({ name: 'frontswap_selfshrinking', before, after }), null);
    const alone = {
      name: 'frontswap_selfshrinking',
      before: { ...before, selfballooning: 0 },
      after: { ...after, selfballooning: 0 },
    } as const;
    assert.equal(scheduledBy(alone), 5);
  });

  it('keeps a step that is due sooner', () => {
    const change = { name: 'selfballooning', before: tunables({ selfballooning: 0 }), after: tunables() } as const;
    assert.equal(selfPolicy.retune(change, selfPolicy.initialMemory, millis(NOW + 100), NOW).wakeAt, NOW + 100);
  });
});

describe('writing frontswap_inertia', () => {
  it('sets the countdown to the new value', () => {
    const memory = { seenPages: pages(10), countdown: 1 };
    const change = {
      name: 'frontswap_inertia',
      before: tunables(),
      after: tunables({ frontswap_inertia: 7 }),
    } as const;
    assert.deepEqual(selfPolicy.retune(change, memory, null, NOW).memory, { seenPages: 10, countdown: 7 });
  });
});
