/**
 * A guest that needs more than it was started with: it gets its balloon's memory first and then blocks of virtio-mem, nobody is killed,
 * and it gives all of it back in the other order.
 */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import type { QemuGuest } from '../../../lab/qemu/guest.js';
import { PLUGGABLE_ID } from '../../../lab/qemu/machine.js';
import { waitFor } from '../../../lab/xen/shell.js';
import { connectQmp, decodeBalloon } from '../../../src/qmp/index.js';
import { RealClock } from '../../../src/runtime/real-clock.js';
import { PAGES_PER_MIB } from '../../../src/units.js';
import { assertReplays, lastRun, readingsIn, valueOf } from '../xen/journal.js';
import type { Host } from './host.js';
import { qemuSuite } from './suite.js';

const BOOT_MIB = 384;
const PLUGGABLE_MIB = 512;
const SWAP_MIB = 256;
const NEED_MIB = 600;
/** Slow enough for a guest whose memory is plugged in under emulation, a second or more for each block of 128 MiB. */
const RAMP_MIB_PER_S = 20;
const WHOLE_LIMIT_MS = 60_000;
const BYTES_PER_MIB = 2 ** 20;

/** To be called where suites are described. */
export function growth(): void {
  describe('a guest that needs more than its boot memory', { concurrency: 1 }, () => {
    let guest: QemuGuest;
    let host: Host;
    const { test } = qemuSuite(async ({ boot, hostOf }) => {
      guest = await boot({
        name: 'grower',
        memoryMib: BOOT_MIB,
        pluggableMib: PLUGGABLE_MIB,
        swapMib: SWAP_MIB,
        hasGuestAgent: true,
      });
      host = hostOf([guest]);
      host.start();
      await host.until('grower', 'a small guest', ({ currentPages }) => isBelow(currentPages, BOOT_MIB - 50));
    });

    test('gets memory plugged in until its load is done, and nobody is killed', async (t) => {
      const need = await guest.load.anonymous(NEED_MIB, { kind: 'ramp', mibPerS: RAMP_MIB_PER_S });
      assert.equal((await need.until('holds')).mib, NEED_MIB);
      assert.equal((await guest.load.look()).count('oom_kill'), 0);
      const { reading, currentPages } = await host.until(
        'grower',
        'room for all of it',
        (shown) => !isBelow(shown.currentPages, NEED_MIB),
      );
      t.diagnostic(`holds ${inMib(currentPages)} MiB, ${inMib(reading?.pluggedPages)} of it plugged in`);
      assert.ok((reading?.pluggedPages ?? 0) > 0);
      await need.release();
    });

    test('gives back what was plugged in, and only then of its boot memory', async () => {
      const { reading } = await host.until('grower', 'a small guest again', ({ currentPages }) =>
        isBelow(currentPages, BOOT_MIB - 50),
      );
      assert.equal(reading?.pluggedPages, 0);
      const looks = lastRun(host.journal)
        .steps.flatMap(readingsIn)
        .map(({ current, growth: beyond }) => {
          assert.ok(beyond !== undefined);
          const plugged = valueOf(beyond.plugged);
          return { plugged, boot: valueOf(current) - plugged };
        });
      const most = looks.reduce((best, { plugged }, n) => (plugged >= (looks[best]?.plugged ?? 0) ? n : best), 0);
      for (const { plugged, boot } of looks.slice(most)) {
        assert.ok(
          plugged === 0 || boot === BOOT_MIB * PAGES_PER_MIB,
          `${boot} pages of boot memory beside ${plugged} plugged in`,
        );
      }
      assert.equal((await guest.load.look()).count('oom_kill'), 0);
    });

    test('is as it was found when the daemon is told to end, and the journal replays', async () => {
      await host.end('SIGTERM');
      assert.match(host.log, /gave everything back/);
      await waitFor({ what: 'the guest as it was found', limitMs: WHOLE_LIMIT_MS }, async () => {
        const { boot, asked } = await byQemu();
        return boot === BOOT_MIB && asked === 0 ? true : null;
      });
      await assertReplays(host.journal);
    });

    async function byQemu(): Promise<{ readonly boot: number; readonly asked: number }> {
      const limit = AbortSignal.timeout(30_000);
      const qmp = await connectQmp(guest.monitor, { clock: new RealClock() }, limit);
      try {
        const boot = decodeBalloon(await qmp.execute('query-balloon', {}, { signal: limit })) ?? NaN;
        const property = { path: `/machine/peripheral/${PLUGGABLE_ID}`, property: 'requested-size' };
        return {
          boot: boot / BYTES_PER_MIB,
          asked: Number(await qmp.execute('qom-get', property, { signal: limit })),
        };
      } finally {
        await qmp.close();
      }
    }
  });
}

const isBelow = (count: number | null, mib: number): boolean => count !== null && count < mib * PAGES_PER_MIB;
const inMib = (count: number | null | undefined): number => Math.round((count ?? NaN) / PAGES_PER_MIB);
