/** Protects the law itself: the floor's pieces, the damping, large page counts, and each way in which ours differs on purpose. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { damp, floorPages, selfballoonStep, type SelfballoonInputs } from '../../src/policies/index.js';
import { mib, mibToPages, NO_PAGES, pages, type Pages } from '../../src/units.js';
import { useSeed } from '../support/seed.js';

useSeed();

const MiB = (count: number): Pages => mibToPages(mib(count));
const TUNABLES = { selfballoon_downhysteresis: 8, selfballoon_uphysteresis: 1, selfballoon_min_usable_mb: 0 };

const inputs = (given: Partial<Record<keyof SelfballoonInputs, number>>): SelfballoonInputs => ({
  totalramPages: pages(given.totalramPages ?? 131_072),
  totalreservePages: pages(given.totalreservePages ?? 2_000),
  maxPfn: pages(given.maxPfn ?? 262_144),
  committedPages: pages(given.committedPages ?? 50_000),
  balloonCurrentPages: pages(given.balloonCurrentPages ?? (given.totalramPages ?? 131_072) + 3_000),
  frontswapPages: pages(given.frontswapPages ?? 0),
  reservedPages: pages(given.reservedPages ?? 0),
});

function target(
  given: Partial<Record<keyof SelfballoonInputs, number>>,
  tunables = TUNABLES,
): Extract<ReturnType<typeof selfballoonStep>, { kind: 'target' }> {
  const step = selfballoonStep(inputs(given), tunables);
  if (step.kind !== 'target') throw new Error(`no target: ${step.why}`);
  return step;
}

describe('the floor', () => {
  const reserve = 1_000;
  const rows: readonly (readonly [useful: number, floor: number])[] = [
    [4_095, reserve + 4_095],
    [4_096, reserve + 4_096],
    [4_097, reserve + 4_096],
    [16_383, reserve + 4_096 + 6_143],
    [16_384, reserve + 10_240 + 768],
    [131_071, reserve + 10_240 + 15_103],
    [131_072, reserve + 25_344 + 3_304],
    [6_442_450_944, reserve + 25_344 + 201_325_800],
  ];
  for (const [useful, floor] of rows) {
    it(`is ${floor} pages for ${useful} useful ones`, () => {
      assert.equal(floorPages(pages(reserve + useful), pages(reserve), 0), floor);
    });
  }

  it('is the reserve and the administrator’s minimum where that is set', () => {
    assert.equal(floorPages(pages(500_000), pages(reserve), 128), reserve + 128 * 256);
  });
});

describe('damping', () => {
  it('gives up an eighth and takes back everything by default', () => {
    assert.equal(damp(pages(1_000), pages(200), 8, 1), 900);
    assert.equal(damp(pages(200), pages(1_000), 8, 1), 1_000);
    assert.equal(damp(pages(500), pages(500), 8, 1), 500);
  });

  it('truncates the step, so that the last few pages above the goal stay', () => {
    assert.equal(damp(pages(107), pages(100), 8, 1), 107);
    assert.equal(damp(pages(100), pages(109), 1, 10), 100);
  });

  it('is right past 2^31 and 2^32', () => {
    assert.equal(damp(pages(6_442_450_944), pages(2_147_483_649), 2, 1), 4_294_967_297);
    assert.equal(damp(pages(2_147_483_649), pages(6_442_450_947), 1, 2), 4_294_967_298);
  });
});

describe('one step', () => {
  it('keeps the difference between the driver’s count and the kernel’s', () => {
    const step = target({ totalramPages: 131_072, balloonCurrentPages: 140_000, committedPages: 0 });
    assert.equal(step.balloonTarget - step.target, 140_000 - 131_072);
  });

  it('makes room for what is to come home from the overflow tier', () => {
    assert.equal(target({ frontswapPages: 777 }).goal - target({}).goal, 777);
  });

  it('differs on purpose: adds the reserved room to the goal', () => {
    assert.equal(target({ reservedPages: 13_107 }).goal - target({}).goal, 13_107);
  });

  it('differs on purpose: a reserve above the highest frame is an error, not a wrapped number', () => {
    const step = selfballoonStep(inputs({ totalreservePages: 300_000, maxPfn: 262_144 }), TUNABLES);
    assert.ok(step.kind === 'impossible');
    assert.match(step.why, /300000.*262144/);
  });

  it('refuses a driver’s count that would make the target negative', () => {
    const step = selfballoonStep(
      inputs({ totalramPages: 200_000, balloonCurrentPages: 10, committedPages: 0 }),
      TUNABLES,
    );
    assert.equal(step.kind, 'impossible');
  });
});

describe('the law, for any guest', () => {
  const count = fc.integer({ min: 0, max: 2 ** 34 });
  const world = fc.record({
    totalramPages: fc.integer({ min: 1, max: 2 ** 34 }),
    reserveShare: fc.integer({ min: 0, max: 1000 }),
    maxPfn: fc.integer({ min: 1, max: 2 ** 34 }),
    committedPages: count,
    hidden: fc.integer({ min: 0, max: 2 ** 20 }),
    down: fc.integer({ min: 1, max: 100 }),
    up: fc.integer({ min: 1, max: 100 }),
    minUsable: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 2 ** 20 })),
  });
  type World = typeof world extends fc.Arbitrary<infer W> ? W : never;

  const stepIn = (w: World, committedPages = w.committedPages): ReturnType<typeof target> =>
    target(
      {
        ...w,
        committedPages,
        totalreservePages: Math.floor((w.maxPfn * w.reserveShare) / 1000),
        balloonCurrentPages: w.totalramPages + w.hidden,
      },
      {
        selfballoon_downhysteresis: w.down,
        selfballoon_uphysteresis: w.up,
        selfballoon_min_usable_mb: w.minUsable,
      },
    );

  it('never aims below the floor', () => {
    fc.assert(
      fc.property(world, (w) => {
        const step = stepIn(w);
        assert.ok(step.target >= step.floor);
        assert.equal(step.balloonTarget, step.target + w.hidden);
      }),
    );
  });

  it('is monotone in demand: more committed never means a smaller target', () => {
    fc.assert(
      fc.property(world, count, (w, more) => {
        assert.ok(stepIn(w, w.committedPages + more).target >= stepIn(w).target);
      }),
    );
  });

  it('never passes the goal on the way down, nor on the way up, but for the floor', () => {
    fc.assert(
      fc.property(world, (w) => {
        const { target: to, goal, floor } = stepIn(w);
        const low = Math.min(goal, w.totalramPages);
        const high = Math.max(goal, w.totalramPages, floor);
        assert.ok(to >= low && to <= high);
      }),
    );
  });

  it('gives whole pages only', () => {
    fc.assert(
      fc.property(world, (w) => {
        assert.ok(Number.isSafeInteger(stepIn(w).balloonTarget));
      }),
    );
  });
});

describe('a sound guest', () => {
  it('walks down to its goal and then stays', () => {
    let totalramPages = MiB(512) as number;
    for (let round = 0; round < 100; round += 1)
      totalramPages = target({ totalramPages, committedPages: 20_000 }).target;
    const { goal, floor } = target({ totalramPages, committedPages: 20_000 });
    assert.ok(totalramPages - Math.max(goal, floor) < 8);
    assert.equal(target({ totalramPages, committedPages: 20_000 }).target, totalramPages);
    assert.ok(floor > NO_PAGES);
  });
});
