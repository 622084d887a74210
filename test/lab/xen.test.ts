/**
 * The program on a real Xen, booted once under emulation for all of these tests. They run wherever `npm run lab:setup` has been
 * run; see CONTRIBUTING.md. Three suites run at a time: there are two emulated processors, and a suite waits for a third of its time.
 */
import { describe } from 'node:test';
import { burst } from './xen/burst.js';
import { dom0Minimum } from './xen/dom0-minimum.js';
import { guestTests, idleTests } from './xen/guest.js';
import { hostTests } from './xen/host.js';
import { refusals } from './xen/refusals.js';
import { small } from './xen/small.js';
import { swapped, swappedGuest } from './xen/swapped.js';
import { xenWorld } from './xen/world.js';

describe('on a real Xen', { concurrency: 1 }, () => {
  const world = xenWorld();
  describe('dom0', { concurrency: 3 }, () => {
    // Beside the host there is only what leaves its free memory as it is.
    const keepsItsSize = swappedGuest(world);
    hostTests(world);
    refusals(world);
    swapped(world, keepsItsSize);
  });
  describe('a single domain', { concurrency: 3 }, () => {
    // The longest first; whichever of the three is free takes the next.
    small(world);
    guestTests(world);
    burst(world);
    idleTests(world);
    dom0Minimum(world);
  });
});
