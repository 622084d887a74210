/**
 * What the daemon costs a small guest: its own memory, and its CPU time over a minute. The limit on memory is asserted; CPU under
 * emulation is only told, with what turns it into native time (docs/performance.md).
 */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { waitUntilItAnswers } from '../../../lab/xen/daemon.js';
import { makeStripes, overflowSection } from './stripes.js';
import type { XenWorld } from './world.js';

const PRIVATE_KIB_MAX = 16 * 1024;
/** After its start: then it has loaded all that it loads. */
const SETTLE_MS = 30_000;
const SAMPLE_SECONDS = 60;

export function overheadTests(world: XenWorld): void {
  describe('the daemon in a guest of 256 MiB', { concurrency: 1 }, () => {
    const guest = world.guest({ name: 'small', memoryMib: 256 }, (made) => makeStripes(made, { count: 4, mib: 64 }));

    world.it('holds at most 16 MiB of private memory', async (t) => {
      const daemon = await guest().start({ name: 'small', config: overflowSection(4, 16) });
      await waitUntilItAnswers(daemon);
      await sleep(SETTLE_MS);
      const said = await guest().run(`node /app/lab/bench/overhead.js ${daemon.pid} ${SAMPLE_SECONDS}`, 180_000);
      t.diagnostic(`daemon: ${said.trim()}`);
      t.diagnostic(`calibration: ${(await guest().run('node /app/lab/bench/calibrate.js', 180_000)).trim()}`);
      const { privateKib } = JSON.parse(said) as { readonly privateKib: { readonly peak: number } };
      assert.ok(privateKib.peak <= PRIVATE_KIB_MAX, said);
      await daemon.signal('INT');
      await daemon.waitForEnd();
      assert.match(await daemon.log(), /gave everything back/);
    });
  });
}
