import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { debtAfterAsking, debtAfterHomecoming, debtAfterLook, NO_DEBT, type Debt } from '../../src/overflow/owed.js';
import { planShrink, usedBy, type Stripe } from '../../src/overflow/plan.js';
import { SELFSHRINK_START, selfshrinkStep, type SelfshrinkTunables } from '../../src/policies/selfshrink.js';
import { minPages, NO_PAGES, pages, subtractToZero, type Pages } from '../../src/units.js';
import { useSeed } from '../support/seed.js';

useSeed();

const debt = (seen: number | null, owed: number): Debt => ({
  seen: seen === null ? null : pages(seen),
  owed: pages(owed),
});

describe('what is owed', () => {
  const looks: readonly (readonly [string, Debt, number, Debt])[] = [
    ['the first look owes nothing', NO_DEBT, 900, debt(900, 0)],
    ['as many as before: stays', debt(900, 80), 900, debt(900, 80)],
    ['fewer than before: stays', debt(900, 80), 700, debt(700, 80)],
    ['fewer than are owed: no more than is there', debt(900, 80), 30, debt(30, 30)],
    ['nothing left: nothing owed', debt(900, 80), 0, debt(0, 0)],
    ['one page more than before: forgotten', debt(900, 80), 901, debt(901, 0)],
    ['growth from nothing', debt(0, 0), 5, debt(5, 0)],
  ];
  for (const [name, before, used, after] of looks) {
    it(`look: ${name}`, () => {
      assert.deepEqual(debtAfterLook(before, pages(used)), after);
    });
  }

  const asks: readonly (readonly [string, Debt, number, number, Debt])[] = [
    ['the first', NO_DEBT, 900, 855, debt(900, 45)],
    ['is added to what is owed', debt(900, 45), 900, 855, debt(900, 90)],
    ['0 asks for everything', debt(900, 45), 900, 0, debt(900, 900)],
    ['never more than is there', debt(900, 890), 900, 855, debt(900, 900)],
    ['what is there already adds nothing', debt(900, 45), 900, 900, debt(900, 45)],
    ['more than is there adds nothing', debt(900, 45), 900, 2000, debt(900, 45)],
    ['after growth only the new asking counts', debt(900, 800), 1000, 950, debt(1000, 50)],
  ];
  for (const [name, before, used, to, after] of asks) {
    it(`asking: ${name}`, () => {
      assert.deepEqual(debtAfterAsking(before, pages(used), pages(to)), after);
    });
  }

  it('falls by what came home, and that is not taken for growth at the next look, but a page more is', () => {
    const home = debtAfterHomecoming(debt(900, 450), pages(400));
    assert.deepEqual(home, debt(500, 50));
    assert.equal(debtAfterLook(home, pages(500)).owed, 50);
    assert.equal(debtAfterLook(home, pages(501)).owed, 0);
    assert.deepEqual(debtAfterHomecoming(debt(900, 10), pages(400)), debt(500, 0));
  });
});

const BOUNDLESS = { available: pages(1e12), keep: NO_PAGES };

/** A tier as plain data, moved by the real plan and the real debt, with sums kept by the test itself. */
class Model {
  debt = NO_DEBT;
  /** Asked for and brought home since the start, and since growth was last seen. */
  asked = 0;
  home = 0;
  askedSinceGrowth = 0;
  homeSinceGrowth = 0;
  seen = 0;

  constructor(
    public stripes: readonly Stripe[],
    public available: Pages = BOUNDLESS.available,
  ) {
    this.look();
  }

  get used(): Pages {
    return usedBy(this.stripes);
  }

  look(): void {
    if (this.used > this.seen) this.askedSinceGrowth = this.homeSinceGrowth = 0;
    this.seen = this.used;
    this.debt = debtAfterLook(this.debt, this.used);
  }

  change(index: number, to: (stripe: Stripe) => Pages): void {
    this.stripes = this.stripes.map((one, at) => (at === index ? { ...one, used: to(one) } : one));
  }

  /** Returns how many pages came home. */
  ask(to: Pages): number {
    this.look();
    this.debt = debtAfterAsking(this.debt, this.used, to);
    this.asked += subtractToZero(this.used, to);
    this.askedSinceGrowth += subtractToZero(this.used, to);
    const before = this.home;
    for (;;) {
      const { stripes, available } = this;
      const plan = planShrink({ stripes, to, owed: this.debt.owed, available, keep: BOUNDLESS.keep });
      if (plan.kind !== 'empty') return this.home - before;
      this.debt = debtAfterHomecoming(this.debt, plan.stripe.used);
      this.home += plan.stripe.used;
      this.homeSinceGrowth += plan.stripe.used;
      this.available = plan.availableAfter;
      this.stripes = stripes.map((one) => (one === plan.stripe ? { ...one, used: NO_PAGES } : one));
      this.seen = this.used;
    }
  }
}

const SIZE = 1_000_000;
const filled = (uses: readonly number[]): Stripe[] =>
  uses.map((used, index) => ({
    device: `s${index}`,
    size: pages(SIZE),
    used: pages(used),
    priority: 100 - index,
  }));

const anyUses = fc.array(fc.oneof(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: SIZE })), {
  minLength: 1,
  maxLength: 32,
});

type Event = readonly ['ask' | 'fill' | 'drain' | 'look' | 'memory', number, number];
const anyEvent: fc.Arbitrary<Event> = fc.tuple(
  fc.constantFrom('ask', 'ask', 'ask', 'fill', 'drain', 'look', 'memory'),
  fc.integer({ min: 0, max: 31 }),
  fc.integer({ min: 0, max: SIZE }),
);

function happen(model: Model, [kind, index, amount]: Event): void {
  if (kind === 'look') model.look();
  else if (kind === 'memory') model.available = pages(amount);
  else if (kind === 'fill') model.change(index, ({ used }) => minPages(pages(used + amount), pages(SIZE)));
  else if (kind === 'drain') model.change(index, ({ used }) => subtractToZero(used, pages(amount)));
  else model.ask(pages(Math.floor(model.used * (1 - index / 310))));
}

describe('what is owed, whatever happens', () => {
  it('no more comes home than was asked for in sum, nor than was asked for since the tier last grew', () => {
    fc.assert(
      fc.property(anyUses, fc.array(anyEvent, { maxLength: 60 }), (uses, events) => {
        const model = new Model(filled(uses));
        for (const event of events) {
          happen(model, event);
          assert.ok(model.home <= model.asked, `${model.home} > ${model.asked}`);
          assert.ok(model.homeSinceGrowth <= model.askedSinceGrowth);
          assert.ok(model.debt.owed <= (model.debt.seen ?? 0));
        }
      }),
    );
  });
});

/** Runs the law over a quiet tier until it is empty. Gives the numbers of those askings after which a stripe had come home. */
function runLaw(model: Model, tunables: SelfshrinkTunables, stepsMax: number): readonly number[] {
  const homecomings: number[] = [];
  let memory = SELFSHRINK_START;
  let asks = 0;
  for (let step = 0; step < stepsMax && model.used > 0; step += 1) {
    const decided = selfshrinkStep(memory, model.used, tunables);
    ({ memory } = decided);
    model.look();
    if (decided.shrinkTo === null) continue;
    asks += 1;
    if (model.ask(decided.shrinkTo) > 0) homecomings.push(asks);
    assert.ok(model.home <= model.asked);
  }
  return homecomings;
}

describe('what is owed, under the real law', () => {
  it('four full stripes come home one after another, each when a twentieth at a time has come to a stripe', () => {
    const model = new Model(filled([8192, 8192, 8192, 8192]));
    // Asked for are 1638 pages a time, then 1228, 819 and 409; what was owed beyond a stripe counts for the next.
    assert.deepEqual(runLaw(model, { frontswap_hysteresis: 20, frontswap_inertia: 3 }, 100), [6, 12, 22, 41]);
    assert.equal(model.used, 0);
  });

  it('the quiet tier is empty in the end, whatever the stripes hold', () => {
    const anyTunables = fc.record({
      frontswap_hysteresis: fc.integer({ min: 1, max: 64 }),
      frontswap_inertia: fc.integer({ min: 1, max: 8 }),
    });
    fc.assert(
      fc.property(anyUses, anyTunables, (uses, tunables) => {
        const model = new Model(filled(uses));
        const before = model.used;
        // The law asks for at least `used / (2 × hysteresis)` pages a time, so each stripe takes that many askings at most.
        const stepsMax = tunables.frontswap_inertia + 1 + uses.length * 2 * tunables.frontswap_hysteresis;
        runLaw(model, tunables, stepsMax);
        assert.equal(model.used, 0);
        assert.equal(model.home, before);
      }),
    );
  });

  it('a tier that grows a little before each stripe would fit keeps its pages', () => {
    const model = new Model(filled([8000, 8000, 8000, 8000]));
    let memory = SELFSHRINK_START;
    for (let step = 0; step < 200; step += 1) {
      if (step % 6 === 0) model.change(0, ({ used }) => pages(used + 1));
      const decided = selfshrinkStep(memory, model.used, { frontswap_hysteresis: 20, frontswap_inertia: 3 });
      ({ memory } = decided);
      model.look();
      if (decided.shrinkTo !== null) model.ask(decided.shrinkTo);
    }
    assert.ok(model.asked > 8000);
    assert.equal(model.home, 0);
  });
});
