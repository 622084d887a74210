/** The original job, in one guest: booted once, and used by one suite after the other. */
import { describe } from 'node:test';
import { burst } from './burst.js';
import { demand } from './demand.js';
import { idle } from './idle.js';
import { killed } from './killed.js';
import { makeStripes } from './stripes.js';
import type { XenWorld } from './world.js';

const STRIPES = { count: 4, mib: 128 };

export function guestTests(world: XenWorld): void {
  describe('a guest of 512 MiB', { concurrency: 1 }, () => {
    const guest = world.guest({ name: 'guest', memoryMib: 512, extra: ['noselfshrink'] }, (made) =>
      makeStripes(made, STRIPES),
    );
    idle(world, guest, STRIPES);
    demand(world, guest, STRIPES);
    killed(world, guest, STRIPES);
    burst(world, guest);
  });
}
