/**
 * The program on a real Xen, booted once under emulation for all of these tests. They run wherever `npm run lab:setup` has been
 * run; see CONTRIBUTING.md. The suites wait more than they compute, so several run side by side.
 */
import { describe } from 'node:test';
import { burstTests } from './xen/burst.js';
import { hostTests } from './xen/host.js';
import { refusals } from './xen/refusals.js';
import { xenWorld } from './xen/world.js';

const SIDE_BY_SIDE = 3;

describe('on a real Xen', { concurrency: SIDE_BY_SIDE }, () => {
  const world = xenWorld();
  refusals(world);
  burstTests(world);
  hostTests(world);
});
