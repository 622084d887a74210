import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  BalloonBugError,
  createBalloonDriver,
  createWorld,
  reverseRun,
  risingRun,
  type BalloonPorts,
  type World,
  type WorldOptions,
} from '../../src/balloon/index.js';
import { NO_PAGES, pages } from '../../src/units.js';
import { expand } from './support/frames.js';

function worldOf(change: Partial<WorldOptions> = {}): World {
  return createWorld({
    bootPages: pages(2000),
    extraPages: NO_PAGES,
    highStart: 2 ** 20,
    hypervisorFreePages: NO_PAGES,
    maxRetryCount: 0,
    sectionPages: null,
    ...change,
  });
}

const OPTIONS = { bootPages: pages(1000), extraRegions: [risingRun(1000, 600)], highStart: 2 ** 20, maxRetryCount: 0 };

/** Ports that do nothing wrong. */
const PORTS: BalloonPorts = {
  reservation: {
    increase: (_runs, count) => ({ kind: 'granted', count }),
    decrease: (_runs, count) => count,
  },
  allocator: { take: (count) => [risingRun(0, count)], free: () => undefined },
  hotplug: {
    sectionPages: pages(100),
    reserve: (count) => ({ kind: 'added', pending: [risingRun(1600, count)] }),
    waitOnline: () => [],
  },
  schedule: () => undefined,
};

describe('the worker', () => {
  it('reaches a target below and above in batches, and leaves the list in the order of the specification', () => {
    const world = worldOf();
    world.driver.setTarget(pages(920));
    assert.equal(world.takeScheduled(), 0);
    assert.equal(world.driver.runWorker(), 'done');
    assert.equal(world.takeScheduled(), null);
    assert.deepEqual([...world.driver.listRuns()], [risingRun(1024, 56), risingRun(512, 512), risingRun(0, 512)]);
    world.driver.setTarget(pages(2000));
    assert.equal(world.driver.runWorker(), 'done');
    assert.equal(world.driver.stats.currentPages, 2000);
    assert.equal(world.reservation.freePages, 0);
    assert.equal(world.allocator.freePages, 2000);
  });

  it('comes back after a doubling delay while the hypervisor has nothing', () => {
    const world = worldOf({ extraPages: pages(10) });
    world.driver.setTarget(pages(2005));
    const delays = Array.from({ length: 7 }, () => {
      assert.equal(world.driver.runWorker(), 'again');
      return world.takeScheduled();
    });
    assert.deepEqual(delays, [2, 4, 8, 16, 32, 32, 32]);
    world.reservation.freePages = pages(100);
    assert.equal(world.driver.runWorker(), 'done');
    assert.equal(world.driver.stats.scheduleDelay, 1);
  });

  it('obeys a target that the guest cannot live with: the floor is the controllers’ business', () => {
    const world = worldOf();
    world.driver.setTarget(NO_PAGES);
    assert.equal(world.driver.runWorker(), 'done');
    assert.equal(world.driver.stats.currentPages, 0);
    assert.equal(world.allocator.freePages, 0);
  });

  it('without hotplug sets an unreachable target back to what the guest has', () => {
    const world = worldOf();
    world.driver.setTarget(pages(3000));
    assert.equal(world.driver.runWorker(), 'cancelled');
    assert.equal(world.driver.stats.targetPages, 2000);
  });

  it('asks the allocator to try hard for a borrower only', () => {
    const asked: boolean[] = [];
    const driver = createBalloonDriver(OPTIONS, {
      ...PORTS,
      allocator: { ...PORTS.allocator, take: (_count, { tryHard }) => (asked.push(tryHard), []) },
    });
    driver.setTarget(NO_PAGES);
    driver.runWorker();
    driver.lend(pages(601));
    assert.deepEqual(asked, [false, true]);
  });

  it('lets the latest target win, even one set by the hypervisor in the middle of its work', () => {
    const world = worldOf({ hypervisorFreePages: pages(5000), extraPages: pages(3000) });
    const increase = world.reservation.increase.bind(world.reservation);
    world.reservation.increase = (runs, count) => {
      if (world.driver.stats.targetPages === 5000) world.driver.setTarget(pages(2100));
      return increase(runs, count);
    };
    world.driver.setTarget(pages(5000));
    assert.equal(world.driver.runWorker(), 'done');
    assert.equal(world.driver.stats.currentPages, 2100);
  });
});

describe('growing past the boot memory', () => {
  it('adds whole sections, waits, and makes them guest memory once they are online', () => {
    const world = worldOf({ sectionPages: pages(100), hypervisorFreePages: pages(1000) });
    world.driver.setTarget(pages(2150));
    assert.equal(world.driver.runWorker(), 'wait');
    assert.equal(world.driver.stats.totalPages, 2200);
    assert.equal(world.pendingPages, 200);
    assert.equal(world.driver.runWorker(), 'wait');
    assert.equal(world.pendingPages, 200);
    world.takeScheduled();
    world.onlinePending();
    assert.equal(world.takeScheduled(), 0);
    assert.equal(world.driver.runWorker(), 'done');
    assert.equal(world.driver.stats.currentPages, 2150);
    assert.deepEqual([...world.driver.listRuns()], [reverseRun(risingRun(2000, 50))]);
  });

  it('adds nothing more when what was added is exactly what is missing', () => {
    const world = worldOf({ sectionPages: pages(100) });
    world.driver.setTarget(pages(2200));
    assert.deepEqual([world.driver.runWorker(), world.driver.runWorker()], ['wait', 'wait']);
    assert.equal(world.driver.stats.totalPages, 2200);
  });

  it('is cancelled, with the target kept, when the memory cannot be had', () => {
    const world = worldOf({ sectionPages: pages(100) });
    if (world.hotplug !== null) world.hotplug.addFails = true;
    world.driver.setTarget(pages(2150));
    assert.equal(world.driver.runWorker(), 'cancelled');
    assert.deepEqual([world.driver.stats.targetPages, world.driver.stats.totalPages], [2150, 2000]);
  });

  it('takes sections online one at a time, and none that it does not wait for', () => {
    const world = worldOf({ sectionPages: pages(100) });
    world.driver.setTarget(pages(2150));
    world.driver.runWorker();
    world.driver.bringOnline(risingRun(2100, 100));
    assert.throws(() => {
      world.driver.bringOnline(risingRun(2100, 100));
    }, BalloonBugError);
    assert.throws(() => {
      world.driver.bringOnline(risingRun(2050, 100));
    }, BalloonBugError);
    world.driver.bringOnline(risingRun(2000, 100));
    assert.equal(world.driver.stats.balloonLow, 200);
  });
});

describe('lending', () => {
  it('takes what is on the list, then what the guest can give, over more than one batch', () => {
    const world = worldOf({ extraPages: pages(3) });
    const outcome = world.driver.lend(pages(1003));
    assert.ok(outcome.kind === 'lent');
    assert.deepEqual(outcome.runs, [reverseRun(risingRun(2000, 3)), risingRun(0, 1000)]);
    assert.deepEqual([world.driver.stats.targetUnpopulated, world.driver.stats.currentPages], [1003, 1000]);
  });

  it('takes loans back in parts, turned and mixed', () => {
    const world = worldOf();
    world.driver.lend(pages(600));
    world.driver.takeBack([risingRun(500, 50), reverseRun(risingRun(0, 10))]);
    assert.equal(world.driver.stats.targetUnpopulated, 540);
    assert.deepEqual([...world.driver.listRuns()], [risingRun(0, 10), reverseRun(risingRun(500, 50))]);
  });

  it('runs the worker when frames came back and the guest is off its target', () => {
    const world = worldOf();
    const outcome = world.driver.lend(pages(10));
    assert.ok(outcome.kind === 'lent');
    world.driver.takeBack(outcome.runs);
    assert.equal(world.takeScheduled(), 0);
    world.driver.runWorker();
    assert.equal(world.driver.stats.currentPages, 2000);
  });

  it('gives memory that is added for it with hotplug_unpopulated, and leaves the guest its own', () => {
    const world = worldOf({ sectionPages: pages(100) });
    world.driver.setHotplugUnpopulated(true);
    const outcome = world.driver.lend(pages(150));
    assert.ok(outcome.kind === 'lent');
    assert.deepEqual(outcome.runs, [reverseRun(risingRun(2050, 150))]);
    assert.equal(world.driver.stats.currentPages, 2000);
    assert.equal(world.takeScheduled(), 0);
  });

  it('takes the guest’s own with hotplug_unpopulated when no memory can be added', () => {
    const world = worldOf({ sectionPages: pages(100) });
    world.driver.setHotplugUnpopulated(true);
    if (world.hotplug !== null) world.hotplug.resourceFails = true;
    assert.equal(world.driver.lend(pages(150)).kind, 'lent');
    assert.equal(world.driver.stats.currentPages, 1850);
  });

  it('takes the guest’s own with hotplug_unpopulated when it is above its target: there is nothing to wait for', () => {
    const world = worldOf({ sectionPages: pages(100) });
    world.driver.setHotplugUnpopulated(true);
    world.driver.setTarget(pages(1500));
    assert.equal(world.driver.lend(pages(150)).kind, 'lent');
    assert.deepEqual([world.driver.stats.currentPages, world.driver.stats.totalPages], [1850, 2000]);
  });

  it('lends nothing when nothing is asked for', () => {
    assert.deepEqual(worldOf().driver.lend(NO_PAGES), { kind: 'lent', runs: [] });
  });
});

describe('where the driver differs from the old one', () => {
  it('after a failed alloc owes nothing: the account does not drift', () => {
    const world = worldOf({ extraPages: pages(5) });
    world.allocator.allocatablePages = pages(7);
    assert.equal(world.driver.lend(pages(100)).kind, 'out-of-memory');
    assert.deepEqual([world.driver.stats.targetUnpopulated, world.driver.stats.balloonLow], [0, 12]);
    assert.equal(world.driver.lend(pages(12)).kind, 'lent');
    assert.equal(world.driver.stats.targetUnpopulated, 12);
  });

  it('an alloc with hotplug_unpopulated and only high frames on the list ends, out of memory', () => {
    const world = worldOf({ highStart: 1000, extraPages: pages(50), sectionPages: pages(100) });
    world.driver.setHotplugUnpopulated(true);
    assert.equal(world.driver.lend(pages(20)).kind, 'out-of-memory');
    const { targetUnpopulated, currentPages, balloonLow, balloonHigh, totalPages } = world.driver.stats;
    assert.deepEqual([targetUnpopulated, currentPages, balloonLow, balloonHigh, totalPages], [0, 2000, 0, 50, 2050]);
  });

  it('an alloc with hotplug_unpopulated ends as well when what is added is high memory', () => {
    const world = worldOf({ highStart: 1000, sectionPages: pages(100) });
    world.driver.setHotplugUnpopulated(true);
    assert.equal(world.driver.lend(pages(20)).kind, 'out-of-memory');
    assert.deepEqual([world.driver.stats.balloonHigh, world.driver.stats.targetUnpopulated], [100, 0]);
  });
});

const throwing = (): never => {
  throw new Error('the line was cut');
};

describe('a port that does what it must not', () => {
  const faults: readonly [string, number, Partial<BalloonPorts>, RegExp][] = [
    [
      'grants more than was asked for',
      1100,
      { reservation: { ...PORTS.reservation, increase: () => ({ kind: 'granted', count: pages(101) }) } },
      /granted 101 pages where 100/,
    ],
    [
      'takes less than it was given',
      900,
      { reservation: { ...PORTS.reservation, decrease: () => pages(99) } },
      /took 99 pages where 100/,
    ],
    [
      'throws while it takes memory',
      900,
      { reservation: { ...PORTS.reservation, decrease: throwing } },
      /a port threw/,
    ],
    [
      'throws while frames are freed to it',
      1100,
      { allocator: { ...PORTS.allocator, free: throwing } },
      /a port threw/,
    ],
    [
      'gives more frames than were asked for',
      900,
      { allocator: { ...PORTS.allocator, take: () => [risingRun(0, 101)] } },
      /gave 101 pages where 100/,
    ],
    [
      'gives the same frame twice',
      900,
      { allocator: { ...PORTS.allocator, take: () => [risingRun(0, 50), risingRun(49, 50)] } },
      /holds one of them already/,
    ],
    [
      'gives a frame that is in the balloon',
      900,
      { allocator: { ...PORTS.allocator, take: (count) => [risingRun(1550, count)] } },
      /holds one of them already/,
    ],
    [
      'gives what is no run of frames',
      900,
      { allocator: { ...PORTS.allocator, take: () => [risingRun(0.5, 1)] } },
      /no run of frames/,
    ],
    [
      'adds less memory than was asked for',
      1900,
      {
        hotplug: {
          sectionPages: pages(100),
          reserve: () => ({ kind: 'added', pending: [risingRun(1600, 99)] }),
          waitOnline: () => [],
        },
      },
      /added 99 pages where 300/,
    ],
  ];
  for (const [what, target, fault, message] of faults) {
    it(`${what}: the driver stops loudly, and for good`, () => {
      const driver = createBalloonDriver(OPTIONS, { ...PORTS, ...fault });
      driver.setTarget(pages(target));
      assert.throws(
        () => driver.runWorker(),
        (error) => error instanceof BalloonBugError && message.test(error.message),
      );
      assert.throws(() => driver.runWorker(), /it has stopped for good, because of this/);
      assert.throws(() => {
        driver.setTarget(pages(1000));
      }, BalloonBugError);
      assert.throws(() => driver.lend(pages(1)), BalloonBugError);
      assert.throws(() => {
        driver.takeBack([]);
      }, BalloonBugError);
      assert.throws(() => {
        driver.bringOnline(risingRun(1600, 100));
      }, BalloonBugError);
    });
  }

  it('adds memory that is lent: the driver stops loudly', () => {
    const hotplug = {
      sectionPages: pages(1),
      reserve: () => ({ kind: 'added' as const, pending: [risingRun(1599, 1)] }),
      waitOnline: () => [],
    };
    const driver = createBalloonDriver(OPTIONS, { ...PORTS, hotplug });
    driver.lend(pages(600));
    driver.setTarget(pages(1001));
    assert.throws(() => driver.runWorker(), /holds one of them already/);
  });

  it('gives more than the guest has: the driver stops before a count goes below 0', () => {
    const driver = createBalloonDriver(
      { ...OPTIONS, bootPages: pages(10) },
      { ...PORTS, allocator: { ...PORTS.allocator, take: () => [risingRun(0, 11)] } },
    );
    assert.throws(() => driver.lend(pages(611)), /the guest holds only 10/);
  });

  it('may not run the worker, nor borrow, in the middle of something else', () => {
    const driver = createBalloonDriver(OPTIONS, {
      ...PORTS,
      allocator: { ...PORTS.allocator, free: () => driver.lend(pages(1)) },
    });
    driver.setTarget(pages(1100));
    assert.throws(() => driver.runWorker(), /in the middle of something else/);
  });
});

describe('a borrower’s mistakes', () => {
  const borrowed = (): World => {
    const world = worldOf();
    assert.equal(world.driver.lend(pages(100)).kind, 'lent');
    return world;
  };
  const mistakes: readonly [string, Parameters<World['driver']['takeBack']>[0]][] = [
    ['frames that were never lent', [risingRun(500, 1)]],
    ['more than was lent', [risingRun(0, 101)]],
    ['the same frame twice in one go', [risingRun(0, 50), risingRun(49, 2)]],
    ['what is no run of frames', [risingRun(0, -5)]],
  ];
  for (const [what, runs] of mistakes) {
    it(`${what}: refused whole, and the driver goes on`, () => {
      const world = borrowed();
      const before = world.driver.stats;
      assert.throws(() => {
        world.driver.takeBack(runs);
      }, BalloonBugError);
      assert.deepEqual(world.driver.stats, before);
      world.driver.takeBack([risingRun(0, 100)]);
      assert.throws(() => {
        world.driver.takeBack([risingRun(0, 1)]);
      }, /not all of them are lent/);
      assert.deepEqual(expand(world.driver.listRuns()).length, 100);
    });
  }

  it('a frame in two extra regions is refused at the start', () => {
    const extraRegions = [risingRun(1000, 10), risingRun(1009, 1)];
    assert.throws(() => createBalloonDriver({ ...OPTIONS, extraRegions }, PORTS), BalloonBugError);
  });
});
