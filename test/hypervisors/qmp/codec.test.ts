/** Protects what QEMU's and a guest's numbers are taken for: units, polarity, age, and what is no number. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isPageCount } from '../../../src/control/believe.js';
import { formatTarget, readingOf, type MachineLook } from '../../../src/hypervisors/qmp/codec.js';
import { decodeGuestStats } from '../../../src/qmp/index.js';
import { bytes, guestSize, millis, pages } from '../../../src/units.js';
import { HeldBefore } from '../../../src/signals/held-before.js';
import { useSeed } from '../../support/seed.js';

useSeed();

const MIB = 2 ** 20;
const PAGES_PER_MIB = 256;
const TIMES = { at: millis(50_000), wall: millis(1_800_000_050_000) };
const NOW_S = 1_800_000_050;

interface Said {
  readonly total: number;
  readonly available: number;
  readonly swapOut?: number;
}

const statsOf = ({ total, available, swapOut = 1 }: Said, lastUpdate = NOW_S): MachineLook['stats'] =>
  decodeGuestStats({
    stats: {
      'stat-total-memory': total * MIB,
      'stat-available-memory': available * MIB,
      'stat-swap-out': swapOut * MIB,
    },
    'last-update': lastUpdate,
  });

const lookOf = (more: Partial<MachineLook>): MachineLook => ({
  actual: bytes(1_024 * MIB),
  base: bytes(1_024 * MIB),
  stats: null,
  deflatesOnOom: false,
  asked: null,
  inside: { sources: [], refusal: null },
  before: new HeldBefore(),
  ...more,
});

const usedMib = (look: MachineLook): number | string => {
  const { used } = readingOf(look, TIMES);
  return used.known ? used.value / PAGES_PER_MIB : used.reason;
};

describe('what a machine holds', () => {
  it('is what QEMU says that the guest keeps, and it could hold what it was started with', () => {
    const { current, maximum } = readingOf(lookOf({ actual: bytes(300 * MIB + 4_095) }), TIMES);
    assert.deepEqual(current, { known: true, value: 300 * PAGES_PER_MIB, at: 50_000 });
    assert.ok(maximum.known && maximum.value === 1_024 * PAGES_PER_MIB);
  });
});

describe('what a guest uses', () => {
  it('is all that is not available of what it keeps, what its kernel never manages too', () => {
    assert.equal(usedMib(lookOf({ stats: statsOf({ total: 1_000, available: 700 }) })), 324);
  });

  it('is without the balloon where the guest counts that as its own memory', () => {
    const look = lookOf({ actual: bytes(424 * MIB), deflatesOnOom: true });
    assert.equal(usedMib({ ...look, stats: statsOf({ total: 990, available: 100 }) }), 324);
    // The same offer, not taken: its total has fallen with the balloon.
    assert.equal(usedMib({ ...look, stats: statsOf({ total: 390, available: 100 }) }), 324);
    assert.equal(usedMib({ ...look, stats: statsOf({ total: 990, available: 700 }) }), 0);
  });

  it('is not told of a guest that nothing would catch, for nobody may take its memory then', () => {
    const stats = statsOf({ total: 1_000, available: 700, swapOut: 0 });
    assert.equal(usedMib(lookOf({ stats })), 'not-reported');
    assert.equal(usedMib(lookOf({ stats, deflatesOnOom: true })), 324);
  });

  it('is not known where more is available than there is', () => {
    assert.equal(usedMib(lookOf({ stats: statsOf({ total: 100, available: 101 }) })), 'implausible');
  });
});

describe('the time of what a guest says', () => {
  const totalAt = (lastUpdate: number): number | string => {
    const { total } = readingOf(lookOf({ stats: statsOf({ total: 1, available: 1 }, lastUpdate) }), TIMES);
    return total.known ? total.at : total.reason;
  };

  it('is by our clock what it was by the clock on the wall', () => {
    assert.equal(totalAt(NOW_S), 50_000);
    assert.equal(totalAt(NOW_S - 7), 43_000);
    assert.equal(totalAt(NOW_S + 1), 50_000);
  });

  it('is nonsense in the future, and nothing before the first word', () => {
    assert.equal(totalAt(NOW_S + 2), 'implausible');
    assert.equal(totalAt(0), 'not-reported');
  });
});

describe('whatever a guest says', () => {
  it('becomes page counts that a machine can have, or is not known', () => {
    const number = fc.oneof(fc.double(), fc.integer(), fc.constant(2 ** 64), fc.constant('x'), fc.constant(null));
    const names = ['total-memory', 'available-memory', 'free-memory', 'disk-caches', 'major-faults'];
    const stats = fc.record(Object.fromEntries(names.map((name) => [`stat-${name}`, number])));
    fc.assert(
      fc.property(stats, number, fc.boolean(), (said, updated, deflatesOnOom) => {
        const decoded = decodeGuestStats({ stats: said, 'last-update': updated });
        const { total, available, free, cached, used } = readingOf(lookOf({ stats: decoded, deflatesOnOom }), TIMES);
        for (const signal of [total, available, free, cached, used]) {
          if (!signal.known) continue;
          assert.ok(Number.isSafeInteger(signal.value) && signal.value >= 0);
          assert.ok(signal.at <= TIMES.at);
        }
        assert.ok(!used.known || isPageCount(used.value) || used.value > 2 ** 40);
      }),
    );
  });
});

describe('a target on the wire', () => {
  it('is in bytes, and neither nothing nor more than a number can be', () => {
    assert.equal(formatTarget(guestSize(pages(1))), 4_096);
    assert.equal(formatTarget(guestSize(pages(179_200))), 734_003_200);
    assert.equal(formatTarget(guestSize(pages(0))), null);
    assert.equal(formatTarget(guestSize(pages(2 ** 41))), null);
    assert.equal(formatTarget(guestSize(pages(2 ** 41 - 1))), 2 ** 53 - 4_096);
  });
});
