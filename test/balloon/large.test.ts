/** Frame numbers near 2^36 and page counts past 2^32: a machine of 24 TiB has 6.4 × 10^9 pages. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  CountingReservation,
  countFrames,
  createBalloonDriver,
  createWorld,
  LowestFirstAllocator,
  reverseRun,
  risingRun,
} from '../../src/balloon/index.js';
import { NO_PAGES, pages } from '../../src/units.js';

const HUGE = 6_400_000_000;
const FAR = 2 ** 36;

describe('a guest of 24 TiB', () => {
  it('starts with a balloon of billions of pages in one run, and grows out of it', () => {
    const world = createWorld({
      bootPages: pages(1000),
      extraPages: pages(HUGE),
      highStart: FAR,
      hypervisorFreePages: pages(1_000_000),
      maxRetryCount: 0,
      sectionPages: null,
    });
    assert.deepEqual([...world.driver.listRuns()], [reverseRun(risingRun(1000, HUGE))]);
    world.driver.setTarget(pages(HUGE + 1000));
    assert.equal(world.driver.runWorker(), 'again');
    assert.deepEqual(world.driver.stats, {
      ...world.driver.stats,
      currentPages: 1_001_000,
      balloonLow: HUGE - 1_000_000,
      totalPages: HUGE + 1000,
    });
    assert.equal([...world.allocator.freeRuns()].length, 2);
  });

  it('gives a million pages and takes them back', () => {
    const world = createWorld({
      bootPages: pages(HUGE),
      extraPages: NO_PAGES,
      highStart: FAR,
      hypervisorFreePages: pages(HUGE),
      maxRetryCount: 0,
      sectionPages: null,
    });
    world.driver.setTarget(pages(HUGE - 1_000_000));
    assert.equal(world.driver.runWorker(), 'done');
    assert.equal(world.reservation.freePages, HUGE + 1_000_000);
    world.driver.setTarget(pages(HUGE));
    assert.equal(world.driver.runWorker(), 'done');
    assert.deepEqual([...world.allocator.freeRuns()], [risingRun(0, HUGE)]);
  });

  it('adds and lends more than 2^32 pages of new memory', () => {
    const world = createWorld({
      bootPages: pages(1000),
      extraPages: NO_PAGES,
      highStart: FAR,
      hypervisorFreePages: NO_PAGES,
      maxRetryCount: 0,
      sectionPages: pages(32_768),
    });
    world.driver.setHotplugUnpopulated(true);
    const outcome = world.driver.lend(pages(HUGE));
    assert.ok(outcome.kind === 'lent');
    assert.equal(countFrames(outcome.runs), HUGE);
    assert.equal(world.driver.stats.totalPages, 1000 + Math.ceil(HUGE / 32_768) * 32_768);
    world.driver.takeBack(outcome.runs);
    assert.equal(world.driver.stats.targetUnpopulated, 0);
  });
});

describe('frames around 2^36', () => {
  it('are low below highStart and high from it on', () => {
    const reservation = new CountingReservation(pages(100));
    const allocator = new LowestFirstAllocator([risingRun(FAR - 300, 600)], pages(600));
    const driver = createBalloonDriver(
      {
        bootPages: pages(600),
        extraRegions: [risingRun(FAR - 310, 10), risingRun(FAR + 300, 10)],
        highStart: FAR,
        maxRetryCount: 0,
      },
      { reservation, allocator, hotplug: null, schedule: () => undefined },
    );
    driver.setTarget(pages(200));
    assert.equal(driver.runWorker(), 'done');
    assert.deepEqual([driver.stats.balloonLow, driver.stats.balloonHigh], [310, 110]);
    assert.deepEqual(
      [...driver.listRuns()],
      [
        risingRun(FAR - 300, 300),
        reverseRun(risingRun(FAR - 310, 10)),
        risingRun(FAR + 300, 10),
        reverseRun(risingRun(FAR, 100)),
      ],
    );
    const lent = driver.lend(pages(310));
    assert.equal(lent.kind, 'lent');
    driver.setTarget(pages(300));
    assert.equal(driver.runWorker(), 'done');
    assert.deepEqual([...driver.listRuns()], [reverseRun(risingRun(FAR, 10))]);
  });
});
