/**
 * Protects that memory does not wander between a domain's devices: none is given what another has yet to give up, what cannot be moved
 * is left where it is, and what was found in each is what it gets back.
 */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { mib, mibToPages } from '../../../src/units.js';
import { fakePlug, type FakePlug } from '../../virsh/support/fake-libvirt.js';
import { Rig } from './support/rig.js';

const NEVER = new AbortController().signal;
const MIB = 1_024;

interface World {
  readonly rig: Rig;
  readonly first: FakePlug;
  readonly second: FakePlug;
  /** Asks for so many MiB in all. */
  readonly plug: (size: number) => Promise<void>;
  /** What both were asked for since this was called last, in MiB. */
  readonly asked: () => readonly string[];
}

/** A domain with two devices, of 512 MiB and of 256 MiB, each with so many MiB plugged in. */
async function openWith(test: TestContext, inFirst: number, inSecond: number): Promise<World> {
  const rig = new Rig();
  test.after(() => rig.host.close());
  const having = (size: number) => ({ requested: size * MIB, current: size * MIB });
  const first = fakePlug({ alias: 'va', size: 512 * MIB, ...having(inFirst) });
  const second = fakePlug({ alias: 'vb', size: 256 * MIB, ...having(inSecond) });
  rig.libvirt.add('one', { plugs: [first, second] });
  rig.watch();
  await rig.untilLog('came libvirt/one');
  let told = 0;
  return {
    ...{ rig, first, second },
    plug: async (size) => {
      await rig.host.setGrowth?.('libvirt/one', mibToPages(mib(size)), NEVER);
    },
    asked: () => {
      const since = rig.libvirt.asked.slice(told);
      told = rig.libvirt.asked.length;
      return since.flatMap((line) => {
        const [, alias, size] = /^update-memory-device .* --alias (\S+) --requested-size (\d+) /.exec(line) ?? [];
        return alias === undefined ? [] : [`${alias} ${Number(size) / MIB}`];
      });
    },
  };
}

describe('a domain with several memory devices', () => {
  it('gives up memory where it has it, and is given none elsewhere for it', async (test) => {
    const { plug, asked } = await openWith(test, 0, 128);
    await plug(112);
    assert.deepEqual(asked(), ['vb 112']);
  });

  it('is seen as it is at that moment, and not as it was last described', async (test) => {
    const { plug, asked, first, second } = await openWith(test, 0, 128);
    Object.assign(first, { requested: 32 * MIB, current: 32 * MIB });
    Object.assign(second, { requested: 96 * MIB, current: 96 * MIB });
    await plug(112);
    assert.deepEqual(asked(), ['va 16']);
  });

  it('is left as it is where one does not give up what it has, however often that is tried', async (test) => {
    const { plug, asked, first, second } = await openWith(test, 312, 128);
    second.keeps = 8 * MIB;
    await plug(312);
    assert.deepEqual([first.current, second.current], [312 * MIB, 8 * MIB]);
    await plug(320);
    assert.deepEqual(asked(), ['vb 0', 'vb 8']);
    await plug(320);
    assert.deepEqual(asked(), []);
    // The other comes first then.
    await plug(318);
    assert.deepEqual(asked(), ['va 310']);
  });

  it('gets back in each of them what that was found with', async (test) => {
    const { plug, first, second } = await openWith(test, 6, 64);
    await plug(0);
    assert.deepEqual([first.current, second.current], [0, 0]);
    await plug(70);
    assert.deepEqual([first.current, second.current], [6 * MIB, 64 * MIB]);
  });

  it('is asked for nothing while it cannot be described', async (test) => {
    const { rig, plug, asked } = await openWith(test, 0, 128);
    rig.libvirt.tamper = (line) => (line.startsWith('dumpxml') ? '<domain' : undefined);
    await assert.rejects(plug(112), { code: 'EIO', message: /not known what is plugged into each/ });
    assert.deepEqual(asked(), []);
  });
});
