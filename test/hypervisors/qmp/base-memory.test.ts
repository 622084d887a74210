/** Protects that DIMMs which come and go while a machine runs are counted as QEMU counts them, and that knowing it costs next to nothing. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { mib, mibToPages } from '../../../src/units.js';
import type { FakeQemu } from '../../qmp/support/fake-qemu.js';
import { Refusal, type Command } from '../../qmp/support/fake-machine.js';
import { MIB, Rig } from './support/rig.js';

const SECOND = 1_000;
const MINUTE = 60_000;
const DIMM_STATUS = { info: { device: 'd0', slot: '0', 'slot-type': 'DIMM', source: 1, status: 0 } };

interface World {
  readonly rig: Rig;
  readonly qemu: FakeQemu;
}

/** A host with a machine of 1 GiB, and so much in a DIMM, that was met a second ago. */
async function openMachine(test: TestContext, dimmMib = 0): Promise<World> {
  const rig = new Rig();
  test.after(() => rig.host.close());
  const qemu = await rig.addQemu(test, 'one');
  qemu.machine.dimm = dimmMib * MIB;
  qemu.machine.actual = (1_024 + dimmMib) * MIB;
  rig.watch();
  await rig.untilCame(1);
  await rig.pass(SECOND);
  return { rig, qemu };
}

/** As QEMU does it, whose balloon holds as much as before. */
function change({ machine }: FakeQemu, dimmMib: number): void {
  machine.actual = (machine.actual ?? 0) + dimmMib * MIB - machine.dimm;
  machine.dimm = dimmMib * MIB;
}

/** What it holds and can hold, in MiB, by a look now. */
async function sizes({ rig }: World): Promise<readonly unknown[]> {
  const { current, maximum } = await rig.reading('qmp/one');
  return [current, maximum].map((size) => (size.known ? size.value / mibToPages(mib(1)) : size.reason));
}

/** How often it was asked for its devices, the first time being when it was met. */
const asked = ({ qemu }: World): number => qemu.asked.filter((command) => command === 'query-memory-devices').length;

/** QEMU tells, and that was heard. */
async function tell({ rig, qemu }: World, event: string, data: Readonly<Record<string, unknown>>): Promise<void> {
  qemu.emit(event, data);
  await rig.reading('qmp/one');
  await rig.pass(SECOND);
}

describe('what a machine keeps under an empty balloon', () => {
  it('has a DIMM in it from the look that finds more than there was', async (test) => {
    const world = await openMachine(test);
    assert.deepEqual(await sizes(world), [1_024, 1_024]);
    change(world.qemu, 512);
    assert.deepEqual(await sizes(world), [1_536, 1_536]);
    change(world.qemu, 768);
    await world.rig.pass(SECOND);
    assert.deepEqual(await sizes(world), [1_792, 1_792]);
  });

  it('has one in it that comes while its balloon is large, when the guest has taken it', async (test) => {
    const world = await openMachine(test);
    world.qemu.machine.actual = 300 * MIB;
    change(world.qemu, 512);
    assert.deepEqual(await sizes(world), [812, 1_024]);
    await tell(world, 'ACPI_DEVICE_OST', DIMM_STATUS);
    assert.deepEqual(await sizes(world), [812, 1_536]);
  });

  it('has one in it that was heard of while QEMU was asked, and is not in its answer', async (test) => {
    const world = await openMachine(test);
    const { machine } = world.qemu;
    machine.actual = 300 * MIB;
    const answer = machine.commands.get('query-memory-devices');
    let isComing = true;
    machine.commands.set('query-memory-devices', (args) => {
      const old = answer?.(args);
      if (isComing) change(world.qemu, 512);
      if (isComing) world.qemu.emit('ACPI_DEVICE_OST', DIMM_STATUS);
      isComing = false;
      return old;
    });
    // Nobody has told of anything: it is asked because a minute has passed.
    await world.rig.pass(MINUTE);
    assert.deepEqual(await sizes(world), [300, 1_024]);
    await world.rig.pass(SECOND);
    assert.deepEqual(await sizes(world), [812, 1_536]);
    const before = asked(world);
    await world.rig.pass(SECOND);
    await sizes(world);
    assert.equal(asked(world), before, 'it is not asked at each look from then on');
  });

  it('has one in it of which nobody tells, within a minute', async (test) => {
    const world = await openMachine(test);
    world.qemu.machine.actual = 300 * MIB;
    change(world.qemu, 512);
    await world.rig.pass(MINUTE);
    assert.deepEqual(await sizes(world), [812, 1_536]);
  });

  it('has none in it any more that was unplugged', async (test) => {
    const world = await openMachine(test, 512);
    world.qemu.machine.actual = 1_000 * MIB;
    assert.deepEqual(await sizes(world), [1_000, 1_536]);
    change(world.qemu, 0);
    await tell(world, 'DEVICE_DELETED', { device: 'd0', path: '/machine/peripheral/d0' });
    assert.deepEqual(await sizes(world), [488, 1_024]);
  });

  it('is what it was where QEMU does not say what is plugged in', async (test) => {
    const world = await openMachine(test, 512);
    const refuse: Command = () => {
      throw new Refusal('CommandNotFound', 'The command has not been found');
    };
    for (const command of [refuse, () => 'nonsense']) {
      world.qemu.machine.commands.set('query-memory-devices', command);
      await tell(world, 'ACPI_DEVICE_OST', DIMM_STATUS);
      assert.deepEqual(await sizes(world), [1_536, 1_536]);
    }
  });

  it('is asked for where there is a reason, and not at each look', async (test) => {
    const world = await openMachine(test);
    const look = async (count: number): Promise<number> => {
      const before = asked(world);
      for (let n = 0; n < count; n += 1) {
        await world.rig.reading('qmp/one');
        await world.rig.pass(SECOND);
      }
      return asked(world) - before;
    };
    assert.equal(await look(50), 0);
    assert.equal(await look(120), 2);
    await tell(world, 'ACPI_DEVICE_OST', { info: { ...DIMM_STATUS.info, 'slot-type': 'CPU' } });
    assert.equal(await look(3), 0);
    await tell(world, 'ACPI_DEVICE_OST', DIMM_STATUS);
    assert.equal(await look(3), 1);
  });

  it('is asked for once a second at most where QEMU contradicts itself', async (test) => {
    const world = await openMachine(test);
    world.qemu.machine.actual = 4_096 * MIB;
    for (let n = 0; n < 5; n += 1) await world.rig.reading('qmp/one');
    assert.equal(asked(world), 2);
  });
});
