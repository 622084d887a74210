import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { SelfballoonError } from '../../src/errors.js';
import type { Reading } from '../../src/control/reading.js';
import { LastFreedAllocator } from '../../src/sim/last-freed-allocator.js';
import { embeddedHost, LIVES, manyGuests, SimHost, watermarksFor } from '../../src/sim/index.js';
import { createBalloonDriver, CountingReservation, risingRun } from '../../src/balloon/index.js';
import { pages } from '../../src/units.js';
import { useSeed } from '../support/seed.js';
import { inPages } from './lives.js';
import { at } from './rounds.js';

useSeed();

const balanced = (host: SimHost): void => {
  host.assertBalanced();
};

const readAll = (host: SimHost): Reading[] => Array.from(host.guests(), (guest) => guest.read());

function history(seed: number, lookEvery: number): Reading[] {
  const host = embeddedHost({ seed, hostMib: 4_096 });
  for (let second = lookEvery; second <= 1_200; second += lookEvery) {
    host.advanceTo(at(second));
    readAll(host);
  }
  return readAll(host);
}

describe('the simulated world', () => {
  it('is the same for the same seed, and another for another', () => {
    assert.deepEqual(history(1, 5), history(1, 5));
    assert.notDeepEqual(history(1, 5), history(2, 5));
  });

  it('does not depend on how often anyone looks', () => {
    assert.deepEqual(history(3, 1), history(3, 400));
  });

  it('leads the others’ lives on unchanged when a guest is added', () => {
    const alone = new SimHost({ seed: 9, totalPages: inPages(8_192) });
    const crowd = new SimHost({ seed: 9, totalPages: inPages(8_192) });
    const builds = { name: 'builds', bootPages: inPages(1_024), maximumPages: inPages(1_024), workload: LIVES.builds };
    crowd.addGuest({ ...builds, name: 'other' });
    for (const host of [alone, crowd]) {
      host.addGuest(builds);
      host.advanceTo(at(3_000));
    }
    assert.deepEqual(alone.guest('builds')?.read(), crowd.guest('builds')?.read());
    assert.notDeepEqual(crowd.guest('other')?.read(), crowd.guest('builds')?.read());
  });

  it('refuses to go back', () => {
    const host = embeddedHost({ seed: 1, hostMib: 4_096 });
    host.advanceTo(at(10));
    assert.throws(() => {
      host.advanceTo(at(9));
    }, RangeError);
  });

  it('has every page in one account and no count below 0, whatever is asked of it', () => {
    const names = [...embeddedHost({ seed: 1, hostMib: 2_048 }).guests()].map(({ name }) => name);
    const command = fc.record({
      guest: fc.constantFrom(...names),
      target: fc.integer({ min: 0, max: 300_000 }),
      shrinkTo: fc.option(fc.nat(50_000)),
      seconds: fc.integer({ min: 1, max: 120 }),
    });
    fc.assert(
      fc.property(fc.nat(), fc.array(command, { maxLength: 40 }), (seed, commands) => {
        const host = embeddedHost({ seed, hostMib: 2_048, afterTick: balanced });
        for (const { guest, target, shrinkTo, seconds } of commands) {
          host.guest(guest)?.setTarget(pages(target));
          if (shrinkTo !== null) host.guest(guest)?.kernel.shrinkFrontswap(pages(shrinkTo));
          host.assertBalanced();
          host.advanceTo(at(Math.floor(host.now / 1_000) + seconds));
        }
      }),
      { numRuns: 60 },
    );
  });

  it('starts within the host’s memory, with maxima of twice as much', () => {
    for (const hostMib of [2_048, 8_192, 1_048_576]) {
      const host = embeddedHost({ seed: 1, hostMib });
      host.assertBalanced();
      assert.equal(host.maximaPages, 2 * host.memory.totalPages);
      assert.equal([...host.guests()].length, 8);
    }
    assert.throws(() => embeddedHost({ seed: 1, hostMib: 512 }), { code: 'EINVAL' });
  });

  it('takes ten thousand guests', () => {
    const host = manyGuests({ seed: 1, count: 10_000 });
    host.advanceTo(at(10));
    host.assertBalanced();
  });
});

describe('guests that come and go', () => {
  const guest = { name: 'one', bootPages: inPages(512), maximumPages: inPages(1_024), workload: LIVES.web };

  it('leave all their memory behind', () => {
    const host = new SimHost({ seed: 1, totalPages: inPages(1_024), afterTick: balanced });
    host.addGuest(guest);
    host.guest('one')?.setTarget(inPages(200));
    host.advanceTo(at(300));
    assert.ok(host.memory.persistentPages > 0 && host.memory.ephemeralPages > 0);
    assert.equal(host.removeGuest('one'), true);
    assert.equal(host.memory.freePages, inPages(1_024));
    assert.equal(host.removeGuest('one'), false);
    host.addGuest(guest);
    host.advanceTo(at(400));
  });

  it('are refused when they cannot be', () => {
    const host = new SimHost({ seed: 1, totalPages: inPages(1_024) });
    host.addGuest(guest);
    const refused = (options: Partial<typeof guest>, code: string): void => {
      assert.throws(
        () => host.addGuest({ ...guest, name: 'two', ...options }),
        (error) => error instanceof SelfballoonError && error.code === code && error.advice !== undefined,
      );
    };
    refused({ name: 'one' }, 'EINVAL');
    refused({ name: '' }, 'EINVAL');
    refused({ bootPages: inPages(2_048) }, 'EINVAL');
    refused({ bootPages: inPages(16) }, 'EINVAL');
    refused({ bootPages: inPages(600) }, 'ENOMEM');
    host.addGuest({ ...guest, name: 'two' });
    host.assertBalanced();
  });
});

describe('watermarks', () => {
  it('are near what Linux has', () => {
    // A real 1 GiB guest: min_free_kbytes 4096.
    assert.equal(watermarksFor(inPages(1_024)).min, 1_024);
    for (const sizeMib of [64, 512, 4_096, 65_536, 24 * 1_048_576]) {
      const { min, low, high, reserve } = watermarksFor(inPages(sizeMib));
      assert.ok(min > 0 && min < low && low < high);
      assert.ok(reserve >= high * 0.99 && reserve < inPages(sizeMib) / 16);
    }
  });
});

describe('the allocator of simulated guests', () => {
  it('never breaks the frames into more pieces, however often the balloon moves', () => {
    const targets = fc.array(fc.integer({ min: 0, max: 20_000 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(targets, (asked) => {
        const allocator = new LastFreedAllocator(
          [risingRun(0, 10_000)],
          (count) => count,
          () => undefined,
        );
        const reservation = new CountingReservation(pages(10_000));
        const driver = createBalloonDriver(
          { bootPages: pages(10_000), extraRegions: [risingRun(10_000, 10_000)], highStart: 20_000, maxRetryCount: 0 },
          { allocator, reservation, hotplug: null, schedule: () => undefined },
        );
        for (const target of asked) {
          driver.setTarget(pages(target));
          assert.equal(driver.runWorker(), 'done');
          assert.equal(driver.stats.currentPages, target);
          assert.ok([...driver.listRuns()].length <= 2);
        }
      }),
    );
  });
});
