/** The original job, in two guests: each booted once, and used by one suite after the other. */
import { describe } from 'node:test';
import type { XenGuest } from '../../../lab/xen/guest.js';
import { demand } from './demand.js';
import { idle } from './idle.js';
import { killed } from './killed.js';
import { makeStripes } from './stripes.js';
import type { XenWorld } from './world.js';

const STRIPES = { count: 4, mib: 128 };

/** A guest of its own, so that its tests can run beside those of another. */
function guestOf(world: XenWorld, name: string): () => XenGuest {
  const options = { name, memoryMib: 512, extra: ['noselfshrink'] };
  return world.guest(options, (made) => makeStripes(made, STRIPES));
}

export function idleTests(world: XenWorld): void {
  describe('an idle guest of 512 MiB', { concurrency: 1 }, () => {
    idle(world, guestOf(world, 'idle'), STRIPES);
  });
}

export function guestTests(world: XenWorld): void {
  describe('a guest of 512 MiB', { concurrency: 1 }, () => {
    const guest = guestOf(world, 'guest');
    demand(world, guest, STRIPES);
    killed(world, guest, STRIPES);
  });
}
