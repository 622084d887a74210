import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { planShrink, sizeOf, usedBy, type ShrinkQuestion, type Stripe } from '../../src/overflow/plan.js';
import { pages, subtractPages } from '../../src/units.js';
import { useSeed } from '../support/seed.js';

useSeed();

const stripe = (device: string, used: number, priority: number, size = 8192): Stripe => ({
  device,
  size: pages(size),
  used: pages(used),
  priority,
});

/** `owed` is what this one call asks for, where a test says nothing else. */
const question = (
  stripes: readonly Stripe[],
  to: number,
  available = 1_000_000,
  keep = 0,
  owed: number = Math.max(0, usedBy(stripes) - to),
): ShrinkQuestion => ({
  stripes,
  to: pages(to),
  owed: pages(owed),
  available: pages(available),
  keep: pages(keep),
});

const FOUR = [stripe('a', 8192, 103), stripe('b', 8192, 102), stripe('c', 4000, 101), stripe('d', 0, 100)];

/** `FOUR` asked to shrink to `to`, with `owed` in sum. */
const owing = (to: number, owed: number): ShrinkQuestion => question(FOUR, to, 1_000_000, 0, owed);

function chosen(asked: ShrinkQuestion): string {
  const plan = planShrink(asked);
  return plan.kind === 'empty' ? plan.stripe.device : plan.kind;
}

describe('which stripe to empty next', () => {
  const rows: readonly (readonly [string, ShrinkQuestion, string])[] = [
    ['no stripes', question([], 0), 'nothing-to-do'],
    ['no page in any', question([stripe('a', 0, 1)], 0), 'nothing-to-do'],
    ['as many as asked for', question(FOUR, 20_384), 'done'],
    ['fewer than asked for', question(FOUR, 30_000), 'done'],
    ['one page too many: no stripe is that small', question(FOUR, 20_383), 'would-not-fit'],
    ['one page short of the smallest', question(FOUR, 20_384 - 3_999), 'would-not-fit'],
    ['exactly the smallest, which was filled last', question(FOUR, 20_384 - 4_000), 'c'],
    ['two fit: the lowest priority first', question(FOUR, 20_384 - 8_192), 'c'],
    ['one page asked for, and as many owed as the smallest holds', owing(20_383, 4_000), 'c'],
    ['one page asked for, and one less owed than the smallest holds', owing(20_383, 3_999), 'would-not-fit'],
    ['as many as asked for, and much owed from earlier: not in this call', owing(20_384, 20_000), 'done'],
    ['too many, but nothing is owed any more', owing(0, 0), 'nothing-owed'],
    ['all: an empty stripe is not emptied', question(FOUR, 0), 'c'],
    ['a target of 0 fits a single full stripe', question([stripe('a', 8192, 1)], 0), 'a'],
    ['memory for exactly one', question(FOUR, 0, 5_000, 1_000), 'c'],
    ['one page of memory too little', question(FOUR, 0, 4_999, 1_000), 'too-little-memory'],
    ['less available than must stay', question(FOUR, 0, 10, 1_000), 'too-little-memory'],
    [
      'the lowest priority does not fit, a higher one does',
      question([stripe('a', 10, 2), stripe('b', 900, 1)], 850),
      'a',
    ],
    [
      'the lowest priority needs too much memory, a higher one does not',
      question([stripe('a', 10, 2), stripe('b', 900, 1)], 0, 100),
      'a',
    ],
    ['priorities below 0, as the kernel numbers them', question([stripe('a', 9, -2), stripe('b', 9, -3)], 0), 'b'],
    ['equal priorities: the one that needs less memory', question([stripe('a', 9, 5), stripe('b', 8, 5)], 0), 'b'],
  ];
  for (const [name, asked, expected] of rows) {
    it(name, () => {
      assert.equal(chosen(asked), expected);
    });
  }

  it('says with numbers why nothing fits', () => {
    assert.deepEqual(planShrink(question(FOUR, 20_000)), {
      kind: 'would-not-fit',
      used: 20_384,
      owed: 384,
      smallest: 4_000,
    });
    assert.deepEqual(planShrink(owing(20_384, 77)), { kind: 'done', used: 20_384, to: 20_384, owed: 77 });
    assert.deepEqual(planShrink(question(FOUR, 0, 4_500, 1_000)), {
      kind: 'too-little-memory',
      owed: 20_384,
      needed: 4_000,
      available: 4_500,
      keep: 1_000,
    });
  });

  it('says what is to be expected after the act', () => {
    const plan = planShrink(question(FOUR, 0, 5_000, 1_000));
    assert.deepEqual(plan.kind === 'empty' ? [plan.usedAfter, plan.availableAfter] : plan, [16_384, 1_000]);
  });

  it('stripes are the steps: of twenty full ones each twentieth takes one, of four every fifth does', () => {
    const full = (count: number): Stripe[] =>
      Array.from({ length: count }, (_, index) => stripe(`s${index}`, 1000, 200 - index, 1000));
    assert.equal(chosen(question(full(20), 19_000)), 's19');
    const afterAsks = (asks: number): ShrinkQuestion => question(full(4), 3_800, 1_000_000, 0, asks * 200);
    assert.deepEqual([1, 4, 5].map(afterAsks).map(chosen), ['would-not-fit', 'would-not-fit', 's3']);
  });
});

// Up to 32 stripes of up to 24 TiB, so that sums far past 2^31 are met.
const anyStripe = fc
  .record({
    size: fc.oneof(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 6_442_450_944 })),
    part: fc.integer({ min: 0, max: 4 }),
    priority: fc.integer({ min: -30, max: 120 }),
  })
  .map(({ size, part, priority }) => ({ size, used: Math.floor((size * part) / 4), priority }));
const anyStripes = fc
  .array(anyStripe, { maxLength: 32 })
  .map((all) => all.map(({ size, used, priority }, index) => stripe(`s${index}`, used, priority, size)));
const anyQuestion = fc
  .record({
    stripes: anyStripes,
    toPart: fc.integer({ min: 0, max: 12 }),
    owedPart: fc.integer({ min: 0, max: 10 }),
    available: fc.oneof(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 10_000_000_000 })),
    keep: fc.oneof(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 1_000_000 })),
  })
  .map(({ stripes, toPart, owedPart, available, keep }) => {
    const part = (tenths: number): number => Math.floor((usedBy(stripes) * tenths) / 10);
    return question(stripes, part(toPart), available, keep, part(owedPart));
  });

describe('which stripe to empty next, whatever is asked', () => {
  it('memory never falls below what must stay, no more leaves than is owed, and the stripe holds something', () => {
    fc.assert(
      fc.property(anyQuestion, (asked) => {
        const plan = planShrink(asked);
        if (plan.kind !== 'empty') return;
        assert.ok(asked.stripes.includes(plan.stripe));
        assert.ok(plan.stripe.used > 0);
        assert.ok(asked.available - plan.stripe.used >= asked.keep);
        assert.ok(plan.stripe.used <= asked.owed);
        assert.ok(usedBy(asked.stripes) > asked.to);
      }),
    );
  });

  it('no other stripe that could be emptied has a lower priority', () => {
    fc.assert(
      fc.property(anyQuestion, (asked) => {
        const plan = planShrink(asked);
        const couldBe = asked.stripes.filter(
          ({ used }) =>
            used > 0 && used <= asked.owed && usedBy(asked.stripes) > asked.to && asked.available - used >= asked.keep,
        );
        assert.equal(plan.kind === 'empty', couldBe.length > 0);
        if (plan.kind === 'empty') assert.ok(couldBe.every(({ priority }) => priority >= plan.stripe.priority));
      }),
    );
  });

  it('one after another, no more leaves than was owed, and each is emptied once', () => {
    fc.assert(
      fc.property(anyQuestion, (asked) => {
        let { stripes, owed } = asked;
        let acts = 0;
        for (;;) {
          const plan = planShrink({ ...asked, stripes, owed });
          if (plan.kind !== 'empty') break;
          acts += 1;
          owed = subtractPages(owed, plan.stripe.used);
          stripes = stripes.map((one) => (one === plan.stripe ? { ...one, used: pages(0) } : one));
        }
        assert.ok(acts <= asked.stripes.length);
        assert.ok(usedBy(asked.stripes) - usedBy(stripes) <= asked.owed);
        assert.equal(sizeOf(stripes), sizeOf(asked.stripes));
      }),
    );
  });
});
