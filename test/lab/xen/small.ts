/** One small guest with a daemon as it comes: what it costs, and how it is spoken to. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { waitUntilItAnswers, type Daemon } from '../../../lab/xen/daemon.js';
import { overhead } from './overhead.js';
import { makeStripes, overflowSection } from './stripes.js';
import { tunables } from './tunables.js';
import { BALLOON } from './views.js';
import type { XenWorld } from './world.js';

const STRIPES = { count: 2, mib: 128 };

export function small(world: XenWorld): void {
  describe('a guest of 256 MiB', { concurrency: 1 }, () => {
    const guest = world.guest({ name: 'small', memoryMib: 256 }, (made) => makeStripes(made, STRIPES));
    let daemon: Daemon | null = null;
    const running = (): Daemon => {
      assert.ok(daemon !== null, 'the daemon was not started');
      return daemon;
    };

    world.it('is refused without an overflow tier, and nothing is touched', async () => {
      const before = await guest().run(`cat ${BALLOON}/target_kb`);
      const { code, output } = await guest().tryRun('selfballoon run --no-table');
      assert.equal(code, 1, output);
      assert.match(output, /not started: there is no overflow tier/);
      assert.equal(await guest().run(`cat ${BALLOON}/target_kb`), before);
      assert.equal((await guest().run('tail -n +2 /proc/swaps')).trim(), '');
    });

    world.it('is accepted with one', async () => {
      daemon = await guest().start({ name: 'small', config: overflowSection(STRIPES, 32) });
      await waitUntilItAnswers(daemon);
    });

    overhead(world, guest, running);
    tunables(world, guest, running);
  });
}
