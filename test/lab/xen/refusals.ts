/** Protects machines where self-ballooning must not run: it says so, and touches nothing. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { makeStripes, overflowSection } from './stripes.js';
import type { XenWorld } from './world.js';

const TARGET = '/sys/devices/system/xen_memory/xen_memory0/target_kb';

export function refusals(world: XenWorld): void {
  describe('where it must not run', { concurrency: 1 }, () => {
    const guest = world.guest(
      { name: 'refused', memoryMib: 256, extra: ['noselfballooning', 'noselfshrink'] },
      (made) => makeStripes(made, { count: 2, mib: 64 }),
    );

    world.it('the initial domain is refused with the words of the specification', async () => {
      const dom0 = world.dom0();
      const before = await dom0.run(`cat ${TARGET}`);
      for (const hypervisor of ['auto', 'xen-guest']) {
        const { code, output } = await dom0.tryRun(`selfballoon run --no-table --hypervisor ${hypervisor}`);
        assert.equal(code, 1, output);
        assert.match(output, /initial domain \(dom0\), and self-ballooning is disabled there/);
      }
      assert.equal(await dom0.run(`cat ${TARGET}`), before);
    });

    world.it('a guest without an overflow tier is refused', async () => {
      const before = await guest().run(`cat ${TARGET}`);
      const { code, output } = await guest().tryRun('selfballoon run --no-table');
      assert.equal(code, 1, output);
      assert.match(output, /not started: there is no overflow tier/);
      assert.equal(await guest().run(`cat ${TARGET}`), before);
      assert.equal((await guest().run('tail -n +2 /proc/swaps')).trim(), '');
    });

    world.it(
      "a guest whose kernel's command line wants neither controller is refused, though it has a tier",
      async () => {
        const config = '/run/neither.toml';
        await guest().run(`cat > ${config} <<'END'\n${overflowSection(2, 16)}\nEND`);
        const { code, output } = await guest().tryRun(`selfballoon run --no-table --config ${config}`);
        assert.equal(code, 1, output);
        assert.match(output, /neither self-ballooning nor self-shrinking is wanted/);
      },
    );
  });
}
