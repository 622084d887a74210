/**
 * The program on a real Xen, booted once under emulation for all of these tests. They run wherever `npm run lab:setup` has been
 * run; see CONTRIBUTING.md. What a single domain does is tested in two at a time, one for each emulated processor.
 */
import { describe } from 'node:test';
import { dom0Minimum } from './xen/dom0-minimum.js';
import { guestTests, idleTests } from './xen/guest.js';
import { hostTests } from './xen/host.js';
import { refusals } from './xen/refusals.js';
import { small } from './xen/small.js';
import { swapped } from './xen/swapped.js';
import { xenWorld } from './xen/world.js';

describe('on a real Xen', { concurrency: 1 }, () => {
  const world = xenWorld();
  describe('dom0', { concurrency: 2 }, () => {
    hostTests(world);
    // The host's guests boot meanwhile, which takes longer.
    refusals(world);
  });
  describe('a single domain', { concurrency: 2 }, () => {
    // The longest first; whichever of the two is free takes the next.
    guestTests(world);
    small(world);
    swapped(world);
    idleTests(world);
    dom0Minimum(world);
  });
});
