/** Any order of operations and failures: the driver is like the naive one, and its books balance. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createBalloonDriver, type BalloonDriver, type FrameRun } from '../../src/balloon/index.js';
import { risingRun } from '../../src/balloon/frame-run.js';
import { pages } from '../../src/units.js';
import { useSeed } from '../support/seed.js';
import { expand } from './support/frames.js';
import { FrameWorld, portsOver, takeSection, type FrameWorldOptions } from './support/frame-world.js';
import { NaiveDriver } from './support/naive-driver.js';

useSeed();

type Operation =
  | { readonly op: 'target' | 'lend' | 'takeBack' | 'hypervisor' | 'allocatable'; readonly value: number }
  | { readonly op: 'work' | 'section' }
  | { readonly op: 'increaseFails' | 'hotplugRefuses' | 'hotplugUnpopulated'; readonly on: boolean };

/** Both drivers, each in its own copy of the same world. */
interface Pair {
  readonly real: BalloonDriver;
  readonly realWorld: FrameWorld;
  readonly naive: NaiveDriver;
  readonly naiveWorld: FrameWorld;
  readonly loans: { readonly runs: readonly FrameRun[]; readonly frames: readonly number[] }[];
  /** What the hypervisor and the guest have together; only the world's own changes move it. */
  hypervisorTotal: number;
}

interface Setting {
  readonly world: FrameWorldOptions;
  readonly highStart: number;
  readonly maxRetryCount: number;
  readonly cutRuns: boolean;
}

const setting: fc.Arbitrary<Setting> = fc.record({
  world: fc.record({
    bootPages: fc.integer({ min: 0, max: 1400 }),
    extraPages: fc.integer({ min: 0, max: 300 }),
    sectionPages: fc.integer({ min: 1, max: 200 }),
    hypervisorFree: fc.integer({ min: 0, max: 1000 }),
    hasHotplug: fc.boolean(),
    order: fc.constantFrom('lowest', 'latest'),
    scatter: fc.integer({ min: 0, max: 96 }),
  }),
  highStart: fc.oneof(fc.integer({ min: 0, max: 1800 }), fc.constant(2 ** 20)),
  maxRetryCount: fc.integer({ min: 0, max: 3 }),
  cutRuns: fc.boolean(),
});

const size = fc.integer({ min: 0, max: 2500 });
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ op: fc.constant('work' as const) }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('target' as const), value: size }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('lend' as const), value: fc.integer({ min: 0, max: 700 }) }) },
  fc.record({ op: fc.constantFrom('takeBack' as const, 'hypervisor' as const, 'allocatable' as const), value: size }),
  fc.record({ op: fc.constant('section' as const) }),
  fc.record({
    op: fc.constantFrom('increaseFails' as const, 'hotplugRefuses' as const, 'hotplugUnpopulated' as const),
    on: fc.boolean(),
  }),
);

function createPair({ world, highStart, maxRetryCount, cutRuns }: Setting): Pair {
  const realWorld = new FrameWorld(world);
  const naiveWorld = new FrameWorld(world);
  const { bootPages, extraPages } = world;
  const real = createBalloonDriver(
    {
      bootPages: pages(bootPages),
      extraRegions: extraPages === 0 ? [] : [risingRun(bootPages, extraPages)],
      highStart,
      maxRetryCount,
    },
    portsOver(realWorld, cutRuns),
  );
  const naive = new NaiveDriver(naiveWorld, { highStart, maxRetryCount });
  return { real, realWorld, naive, naiveWorld, loans: [], hypervisorTotal: world.hypervisorFree + bootPages };
}

function lend({ real, naive, loans }: Pair, count: number): void {
  const outcome = real.lend(pages(count));
  const frames = naive.lend(count);
  if (outcome.kind === 'out-of-memory') {
    assert.equal(frames, null);
    return;
  }
  assert.deepEqual(expand(outcome.runs), frames);
  loans.push({ runs: outcome.runs, frames: frames ?? [] });
}

function takeBack({ real, naive, loans }: Pair, value: number): void {
  const [loan] = loans.splice(value % Math.max(1, loans.length), 1);
  if (loan === undefined) return;
  real.takeBack(loan.runs);
  naive.takeBack(loan.frames);
}

function bringSection({ real, realWorld, naive, naiveWorld }: Pair): void {
  const run = takeSection(realWorld)?.run;
  const frames = takeSection(naiveWorld)?.frames;
  if (run === undefined || frames === undefined) return;
  real.bringOnline(run);
  naive.bringOnline(frames);
}

function perform(pair: Pair, operation: Operation): void {
  const { real, realWorld, naive, naiveWorld } = pair;
  switch (operation.op) {
    case 'target':
      real.setTarget(pages(operation.value));
      naive.setTarget(operation.value);
      break;
    case 'work':
      assert.equal(real.runWorker(), naive.runWorker());
      break;
    case 'lend':
      lend(pair, operation.value);
      break;
    case 'takeBack':
      takeBack(pair, operation.value);
      break;
    case 'section':
      bringSection(pair);
      break;
    case 'hypervisor':
      pair.hypervisorTotal += operation.value - realWorld.hypervisorFree;
      realWorld.hypervisorFree = naiveWorld.hypervisorFree = operation.value;
      break;
    case 'allocatable':
      realWorld.allocatable = naiveWorld.allocatable = operation.value;
      break;
    case 'hotplugUnpopulated':
      real.setHotplugUnpopulated(operation.on);
      naive.hotplugUnpopulated = operation.on;
      break;
    case 'increaseFails':
    case 'hotplugRefuses':
      realWorld[operation.op] = naiveWorld[operation.op] = operation.on;
      break;
  }
}

function checkSame({ real, realWorld, naive, naiveWorld }: Pair): void {
  assert.deepEqual(real.stats, naive.stats);
  assert.deepEqual(expand(real.listRuns()), naive.list);
  assert.deepEqual(realWorld.free, naiveWorld.free);
  assert.deepEqual(realWorld.scheduled, naiveWorld.scheduled);
  assert.equal(realWorld.hypervisorFree, naiveWorld.hypervisorFree);
}

/** Every frame that exists is in exactly one place, and every count says how many are there. */
function checkBooks({ real, realWorld, loans, hypervisorTotal }: Pair): void {
  const { stats } = real;
  const list = expand(real.listRuns());
  const lent = loans.flatMap((loan) => loan.frames);
  const pending = realWorld.pending.flat();
  assert.equal(stats.balloonLow + stats.balloonHigh, list.length);
  assert.equal(stats.targetUnpopulated, lent.length);
  assert.equal(stats.currentPages, realWorld.free.length);
  assert.equal(stats.currentPages + list.length + lent.length + pending.length, stats.totalPages);
  assert.equal(realWorld.hypervisorFree + stats.currentPages, hypervisorTotal);
  const everywhere = new Set([...list, ...lent, ...pending, ...realWorld.free]);
  assert.equal(everywhere.size, stats.totalPages);
  assert.equal(realWorld.nextFrame, stats.totalPages);
}

describe('the driver, under any order of operations and failures', () => {
  it('is like the naive driver, and its books balance', () => {
    fc.assert(
      fc.property(setting, fc.array(operation, { minLength: 1, maxLength: 25 }), (chosen, operations) => {
        const pair = createPair(chosen);
        for (const next of operations) {
          perform(pair, next);
          checkSame(pair);
          checkBooks(pair);
        }
      }),
      { numRuns: 300 },
    );
  });
});
