/**
 * Protects that memory does not wander between a machine's devices: none is given what another has yet to give up, what cannot be moved
 * is left where it is, and what was found in each is what it gets back.
 */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { mib, mibToPages } from '../../../src/units.js';
import { fakePlug, type FakePlug } from '../../qmp/support/fake-machine.js';
import { MIB, Rig } from './support/rig.js';

const NEVER = new AbortController().signal;

interface World {
  readonly rig: Rig;
  readonly first: FakePlug;
  readonly second: FakePlug;
  /** Asks for so many MiB in all. */
  readonly plug: (size: number) => Promise<void>;
  /** What both were asked for since this was called last, in MiB. */
  readonly asked: () => readonly string[];
}

/** A machine with two devices, of 512 MiB and of 256 MiB, each with so many MiB plugged in. */
async function openWith(test: TestContext, inFirst: number, inSecond: number): Promise<World> {
  const rig = new Rig();
  test.after(() => rig.host.close());
  const qemu = await rig.addQemu(test, 'one');
  const having = (size: number) => ({ requested: size * MIB, size: size * MIB });
  const first = fakePlug({ id: 'va', memdev: '/objects/a', maxSize: 512 * MIB, ...having(inFirst) });
  const second = fakePlug({ id: 'vb', memdev: '/objects/b', maxSize: 256 * MIB, ...having(inSecond) });
  qemu.machine.plugs = [first, second];
  rig.watch();
  await rig.untilCame(1);
  let told = qemu.requests.length;
  return {
    ...{ rig, first, second },
    plug: async (size) => {
      await rig.host.setGrowth?.('qmp/one', mibToPages(mib(size)), NEVER);
    },
    asked: () => {
      const since = qemu.requests.slice(told);
      told = qemu.requests.length;
      return since.flatMap((request) => {
        const { path, property, value } = Object(request['arguments']) as Record<string, unknown>;
        return property === 'requested-size' ? [`${String(path).slice(-2)} ${Number(value) / MIB}`] : [];
      });
    },
  };
}

describe('a machine with several memory devices', () => {
  it('gives up memory where it has it, and is given none elsewhere for it', async (test) => {
    const { plug, asked } = await openWith(test, 0, 128);
    await plug(112);
    assert.deepEqual(asked(), ['vb 112']);
  });

  it('grows by what it is given, and keeps the rest where somebody has put it', async (test) => {
    const { plug, asked } = await openWith(test, 0, 128);
    await plug(160);
    assert.deepEqual(asked(), ['va 32']);
  });

  it('is left as it is where one does not give up what it has, however often that is tried', async (test) => {
    const { plug, asked, first, second } = await openWith(test, 312, 128);
    second.keeps = 8 * MIB;
    await plug(312);
    assert.deepEqual([first.size, second.size], [312 * MIB, 8 * MIB]);
    await plug(320);
    assert.deepEqual(asked(), ['vb 0', 'vb 8']);
    await plug(320);
    assert.deepEqual(asked(), []);
    // The other comes first then.
    await plug(318);
    assert.deepEqual(asked(), ['va 310']);
    assert.deepEqual([first.size, second.size], [310 * MIB, 8 * MIB]);
  });

  it('gets back in each of them what that was found with, also over another connection', async (test) => {
    const { rig, plug, first, second } = await openWith(test, 6, 64);
    await plug(0);
    assert.deepEqual([first.size, second.size], [0, 0]);
    rig.qemus[0]?.last.socket.destroy();
    await rig.untilNotice('it has left', ({ kind }) => kind === 'guest-left');
    await rig.pass(5_000);
    await rig.untilCame(2);
    await plug(70);
    assert.deepEqual([first.size, second.size], [6 * MIB, 64 * MIB]);
  });

  it('is asked for nothing while it is not said what each of them has', async (test) => {
    const { rig, plug, asked } = await openWith(test, 0, 128);
    rig.qemus[0]?.machine.commands.set('query-memory-devices', () => []);
    await assert.rejects(plug(112), { code: 'EIO', message: /not known what is plugged into each/ });
    assert.deepEqual(asked(), []);
  });
});
