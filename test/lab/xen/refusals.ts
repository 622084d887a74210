/** Protects machines where self-ballooning must not run: it says so, and touches nothing. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { BALLOON } from './views.js';
import type { XenWorld } from './world.js';

export function refusals(world: XenWorld): void {
  describe('the initial domain', { concurrency: 1 }, () => {
    world.it('is refused with the words of the specification, and keeps its memory', async () => {
      const dom0 = world.dom0();
      const before = await dom0.run(`cat ${BALLOON}/target_kb`);
      for (const hypervisor of ['auto', 'xen-guest']) {
        const { code, output } = await dom0.tryRun(`selfballoon run --no-table --hypervisor ${hypervisor}`);
        assert.equal(code, 1, output);
        assert.match(output, /initial domain \(dom0\), and self-ballooning is disabled there/);
      }
      assert.equal(await dom0.run(`cat ${BALLOON}/target_kb`), before);
    });
  });
}
