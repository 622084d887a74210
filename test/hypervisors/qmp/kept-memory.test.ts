/**
 * Protects guests of QEMU whose memory stays with it, as huge pages do: they are announced as such, also where that begins while they run,
 * and do not count in what others may have. Shown both ways, with the same machine of ordinary memory.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Capabilities } from '../../../src/control/ports.js';
import { fakePlug } from '../../qmp/support/fake-machine.js';
import type { FakeQemu } from '../../qmp/support/fake-qemu.js';
import { hostFolder, setMemory } from './support/host-folder.js';
import { MIB, Rig } from './support/rig.js';

const GUEST = 'qmp/one';
/** Of a machine of 1024 MiB. */
const LOCKED = { lockedMib: 1_030 };

interface Opened {
  readonly rig: Rig;
  readonly qemu: FakeQemu;
  readonly root: string;
}

async function opened(test: TestContext, memory: Parameters<typeof setMemory>[1]): Promise<Opened> {
  const root = hostFolder(test, 60);
  setMemory(root, memory);
  const rig = new Rig({ root });
  test.after(() => rig.host.close());
  const qemu = await rig.addQemu(test, 'one');
  qemu.machine.plugs = [fakePlug()];
  rig.watch();
  await rig.untilCame(1);
  return { rig, qemu, root };
}

const TOLD = /^guest qmp\/one: its QEMU has /;
const toldIn = ({ told }: Rig): readonly string[] => told.filter((text) => TOLD.test(text));

/** As last announced. */
function announced({ notices }: Rig): { readonly can: Capabilities; readonly pool: string | undefined } {
  const last = notices.findLast(({ kind }) => kind === 'guest-came' || kind === 'guest-changed');
  if (last?.kind !== 'guest-came' && last?.kind !== 'guest-changed') throw new assert.AssertionError({});
  return { can: last.guest.capabilities, pool: last.guest.pool };
}

describe('a machine whose memory stays with its QEMU', () => {
  it('is announced as such, and a person is told once', async (test) => {
    for (const [memory, what] of [
      [{ hugeMib: 300 }, /300 MiB in huge pages \(HugetlbPages in its /],
      [LOCKED, /1030 MiB locked in memory, .*\(VmLck in its /],
      [{ pinnedMib: 512 }, /512 MiB pinned for a device .*\(VmPin in its /],
    ] as const) {
      const { rig } = await opened(test, memory);
      const { can, pool } = announced(rig);
      assert.deepEqual([can.keepsMemory, can.canSetTarget, can.growthBlock, pool], [true, true, 512, 'qmp']);
      await rig.look([GUEST]);
      assert.match(toldIn(rig).join('\n'), what);
      assert.equal(toldIn(rig).length, 1);
    }
  });

  it('is another one than that of ordinary memory, of which a little may be locked', async (test) => {
    const { rig } = await opened(test, { lockedMib: 511, pinnedMib: 511 });
    const { can, pool } = announced(rig);
    assert.deepEqual([can.keepsMemory, can.growthBlock !== undefined, pool], [undefined, true, 'qmp']);
    assert.deepEqual(rig.told, []);
  });

  it('is told of again when that begins or ends while it runs', async (test) => {
    const { rig, root } = await opened(test, {});
    setMemory(root, LOCKED);
    await rig.look([GUEST]);
    assert.equal(announced(rig).can.keepsMemory, undefined, 'it was looked at a moment ago');
    await rig.pass(2_000);
    await rig.look([GUEST]);
    await rig.untilNotice('it changed', ({ kind }) => kind === 'guest-changed');
    assert.equal(announced(rig).can.keepsMemory, true);
    setMemory(root, {});
    await rig.pass(2_000);
    await rig.look([GUEST]);
    await rig.untilNotice('it changed back', ({ kind }) => kind === 'guest-changed', 2);
    assert.equal(announced(rig).can.keepsMemory, undefined);
    assert.match(rig.told.at(-1) ?? '', /^guest qmp\/one: its memory is ordinary again/);
  });

  it('stays such a one where its QEMU cannot be looked at, as while that ends', async (test) => {
    const { rig, root } = await opened(test, LOCKED);
    rmSync(join(root, 'proc', String(process.pid), 'status'));
    await rig.pass(2_000);
    await rig.look([GUEST]);
    assert.deepEqual([announced(rig).can.keepsMemory, rig.told.length], [true, 1]);
  });

  it('is no news when its connection was lost and is there again', async (test) => {
    const { rig, qemu } = await opened(test, LOCKED);
    qemu.last.socket.destroy();
    await rig.untilNotice('it left', ({ kind }) => kind === 'guest-left');
    for (let waited = 0; waited < 20 && rig.notices.length < 3; waited += 1) await rig.pass(500);
    await rig.untilCame(2);
    assert.equal(announced(rig).can.keepsMemory, true);
    assert.equal(toldIn(rig).length, 1);
  });

  it('is news where another machine is behind its socket, and no word on that where it is ordinary', async (test) => {
    const { rig, qemu, root } = await opened(test, LOCKED);
    const become = async (name: string, count: number): Promise<void> => {
      qemu.machine.name = name;
      qemu.last.socket.destroy();
      await rig.untilNotice('it left', ({ kind }) => kind === 'guest-left', count - 1);
      for (let waited = 0; waited < 20; waited += 1) await rig.pass(500);
      await rig.untilCame(count);
    };
    await become('two', 2);
    assert.match(rig.told.join('\n'), /^guest qmp\/two: its QEMU has /m);
    setMemory(root, {});
    await become('three', 3);
    assert.ok(!rig.told.some((text) => text.includes('ordinary again')), rig.told.join());
  });

  it('does not count in what others may have, however much of it was given again', async (test) => {
    const freeAfterGrowth = async (memory: Parameters<typeof setMemory>[1]): Promise<number> => {
      const { rig, qemu } = await opened(test, memory);
      const lookAt = async (actualMib: number): Promise<number> => {
        qemu.machine.actual = actualMib * MIB;
        await rig.pass(5_000);
        const found = (await rig.look([GUEST])).findLast(({ kind }) => kind === 'host-reading');
        return found?.kind === 'host-reading' && found.host.free.known ? found.host.free.value / 256 : NaN;
      };
      const free = await lookAt(100);
      return free - (await lookAt(200));
    };
    assert.equal(await freeAfterGrowth({ hugeMib: 2 }), 0);
    assert.equal(await freeAfterGrowth({}), 100);
  });

  it('is only watched without a balloon, and nobody is told that nothing is taken', async (test) => {
    const root = hostFolder(test, 60);
    setMemory(root, LOCKED);
    const rig = new Rig({ root });
    test.after(() => rig.host.close());
    (await rig.addQemu(test, 'one')).machine.actual = null;
    rig.watch();
    await rig.untilCame(1);
    assert.equal(announced(rig).can.canSetTarget, false);
    assert.deepEqual(rig.told, []);
  });
});
