/** Protects what the law takes for a guest's RAM: what is outside of its balloon now, whether or not the guest counts the balloon. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { NOTHING_KNOWN } from '../../src/control/reading.js';
import { knownAt, type Signal } from '../../src/control/signal.js';
import { DEFAULT_TUNABLES } from '../../src/control/tunables.js';
import { bareHostPolicy, SELFSHRINK_START } from '../../src/policies/index.js';
import { HeldBefore } from '../../src/signals/held-before.js';
import { outsideBalloon, type BalloonSight } from '../../src/signals/outside-balloon.js';
import { mib, mibToPages, millis, pages, type Pages } from '../../src/units.js';
import { useSeed } from '../support/seed.js';

useSeed();

const NOW = millis(10_000);
const inPages = (size: number): Pages => mibToPages(mib(size));
const size = (count: number, at = 10_000): Signal<Pages> => knownAt(inPages(count), millis(at));

const sight = (more: Partial<BalloonSight>): BalloonSight => ({
  current: inPages(1_024),
  base: inPages(1_024),
  deflatesOnOom: false,
  heldAt: () => null,
  ...more,
});

const totalMib = (total: number, more: Partial<BalloonSight>): number | string => {
  const signal = outsideBalloon({ ...NOTHING_KNOWN, total: size(total) }, sight(more)).total;
  return signal.known ? signal.value / 256 : signal.reason;
};

describe('RAM outside of the balloon', () => {
  it('is what the kernel manages, where that falls with the balloon', () => {
    assert.equal(totalMib(480, { current: inPages(512) }), 480);
    assert.equal(totalMib(480, { current: inPages(512), deflatesOnOom: true }), 480);
  });

  it('is without the balloon where the guest goes on counting it', () => {
    assert.equal(totalMib(992, { current: inPages(424), deflatesOnOom: true }), 392);
    assert.equal(totalMib(992, { deflatesOnOom: true }), 992);
  });

  it('is without the balloon too where that is smaller than what the kernel keeps for itself', () => {
    assert.equal(totalMib(964, { current: inPages(1_000), deflatesOnOom: true }), 940);
  });

  it('is as of now, although the balloon has moved since the guest said it', () => {
    const moved = { current: inPages(500), heldAt: () => inPages(600) };
    assert.equal(totalMib(570, moved), 470);
    assert.equal(totalMib(992, { ...moved, deflatesOnOom: true }), 468);
    assert.equal(totalMib(570, { current: inPages(700), heldAt: () => inPages(600) }), 670);
  });

  it('is not known where nobody says how much is in the balloon', () => {
    assert.equal(totalMib(992, { current: inPages(424), base: null, deflatesOnOom: true }), 'not-reported');
    assert.equal(totalMib(392, { current: inPages(424), base: null, deflatesOnOom: true }), 'not-reported');
    assert.equal(totalMib(392, { current: inPages(424), base: null }), 392);
  });

  it('has no more free than it is', () => {
    const said = { ...NOTHING_KNOWN, total: size(992), free: size(400), available: size(300) };
    const { free, available } = outsideBalloon(said, sight({ current: inPages(364), deflatesOnOom: true }));
    assert.ok(free.known && free.value === inPages(332));
    assert.ok(available.known && available.value === inPages(300));
  });
});

describe('what a guest held before', () => {
  const of = (held: HeldBefore, at: number): unknown => [held.at(millis(at)), held.since(millis(at))];

  it('is what it held at the last look that had begun by then, and all that it held since', () => {
    const held = new HeldBefore();
    assert.deepEqual(of(held, 0), [null, null]);
    for (const [at, count] of [
      [1_000, 10],
      [2_000, 10],
      [3_000, 30],
      [4_000, 5],
      [5_000, 20],
    ] as const)
      held.note(pages(count), millis(at));
    assert.deepEqual(of(held, 500), [10, { most: 30, last: 20 }]);
    assert.deepEqual(of(held, 3_999), [30, { most: 30, last: 20 }]);
    assert.deepEqual(of(held, 4_000), [5, { most: 20, last: 20 }]);
    assert.deepEqual(of(held, 99_000), [20, { most: 20, last: 20 }]);
  });

  it('is remembered for as long as anything is believed, however often it is looked at, and not for ever', () => {
    const held = new HeldBefore();
    held.note(pages(7), millis(0));
    for (let at = 250; at <= 61_000; at += 250) held.note(pages(100 + (at % 3)), millis(at));
    assert.equal(held.at(millis(0)), 7);
    for (let at = 61_250; at <= 200_000; at += 250) held.note(pages(100), millis(at));
    assert.notEqual(held.at(millis(0)), 7);
  });
});

/** A guest that keeps a part of its memory for its kernel from the beginning, and obeys. */
interface Guest {
  readonly base: number;
  readonly hidden: number;
  readonly committed: number;
  readonly countsBalloon: boolean;
  /** Default: where it counts its balloon. */
  readonly deflatesOnOom?: boolean;
}

/** Where self-ballooning brings it, from all of its memory, in MiB held. */
function restsAt(guest: Guest, isCorrected = true): number {
  const { base, hidden, committed, countsBalloon, deflatesOnOom = countsBalloon } = guest;
  let held = inPages(base);
  for (let round = 0; round < 400; round += 1) {
    const total = pages((countsBalloon ? inPages(base) : held) - inPages(hidden));
    const said = {
      ...NOTHING_KNOWN,
      total: knownAt(total, NOW),
      committed: size(committed),
      reserve: size(8),
      maxPfn: size(base),
      swapTotal: size(0),
    };
    const seen = sight({ current: held, base: inPages(base), deflatesOnOom });
    const signals = isCorrected ? outsideBalloon(said, seen) : said;
    const reading = { ...signals, at: NOW, current: knownAt(held, NOW) };
    const view = { reading, tunables: DEFAULT_TUNABLES, hasOverflowTier: false, deflatesOnOom: true };
    const { wish } = bareHostPolicy.decide(view, SELFSHRINK_START, NOW);
    if (wish.kind === 'resize') held = pages(Math.min(wish.target, inPages(base)));
  }
  return held / 256;
}

describe('self-ballooning from outside', () => {
  it('brings a guest to the same size whether or not it counts its balloon', () => {
    for (const committed of [50, 300, 700]) {
      const guest = { base: 1_024, hidden: 40, committed };
      const counting = restsAt({ ...guest, countsBalloon: true });
      const other = restsAt({ ...guest, countsBalloon: false });
      assert.ok(Math.abs(counting - other) < 1, `${committed} MiB: ${counting} and ${other}`);
      // The goal is what is committed, the reserve, and a tenth of what it has then; the kernel's own part comes on top.
      assert.ok(counting >= Math.min(committed + 8 + 40, 1_024), `${committed} MiB: ${counting}`);
    }
  });

  it('needs this: by its own count a guest that counts its balloon would be squeezed for ever', () => {
    assert.ok(restsAt({ base: 1_024, hidden: 40, committed: 300, countsBalloon: true }, false) < 100);
  });

  it('does not squeeze a guest whose balloon is smaller than what its kernel keeps', () => {
    assert.ok(restsAt({ base: 256, hidden: 60, committed: 160, countsBalloon: true }) >= 220);
  });

  it('never brings a guest below what it has promised and its kernel keeps', () => {
    const guest = fc.record({
      base: fc.integer({ min: 256, max: 8_192 }),
      hidden: fc.integer({ min: 1, max: 60 }),
      part: fc.integer({ min: 0, max: 80 }),
      countsBalloon: fc.boolean(),
      deflatesOnOom: fc.boolean(),
    });
    fc.assert(
      fc.property(guest, ({ base, hidden, part, countsBalloon, ...offered }) => {
        const committed = Math.floor((base * part) / 100);
        const deflatesOnOom = countsBalloon || offered.deflatesOnOom;
        const rests = restsAt({ base, hidden, committed, countsBalloon, deflatesOnOom });
        assert.ok(rests >= Math.min(base, committed + hidden), `rests at ${rests} MiB`);
      }),
      { numRuns: 50 },
    );
  });
});
