/**
 * The program on a real Xen, booted once under emulation for all of these tests. They run wherever `npm run lab:setup` has been
 * run; see CONTRIBUTING.md. One suite after the other: two cores are not enough for more emulated processors.
 */
import { describe } from 'node:test';
import { guestTests } from './xen/guest.js';
import { hostTests } from './xen/host.js';
import { refusals } from './xen/refusals.js';
import { small } from './xen/small.js';
import { swapped } from './xen/swapped.js';
import { xenWorld } from './xen/world.js';

describe('on a real Xen', { concurrency: 1 }, () => {
  const world = xenWorld();
  refusals(world);
  hostTests(world);
  small(world);
  guestTests(world);
  swapped(world);
});
