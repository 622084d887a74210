/**
 * A real QEMU that runs no guest, with a balloon, two virtio-mem devices and a DIMM. Protects what the adapter takes for granted of
 * QEMU: what the balloon counts, where devices without an id are, and that sizes are of what is added.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { askDevices, type PlugRequests } from '../../../src/adapter/plug-spread.js';
import { readingOf } from '../../../src/hypervisors/qmp/codec.js';
import { Machine } from '../../../src/hypervisors/qmp/machine.js';
import type { MachinePlugNow } from '../../../src/hypervisors/qmp/memory-devices.js';
import { decodeBalloon, type Qmp, type QmpError } from '../../../src/qmp/index.js';
import { VirtualClock } from '../../../src/sim/index.js';
import { mib, mibToPages, millis, pages, type Pages } from '../../../src/units.js';
import { HeldBefore } from '../../../src/signals/held-before.js';
import { NEEDS_QEMU, RealQemu } from '../../qmp/support/real-qemu.js';

const MIB = 2 ** 20;
const pagesOf = (size: number): Pages => mibToPages(mib(size));
const NEVER = new AbortController().signal;

/** A test that is skipped by its name where there is no QEMU. */
const real = (name: string, run: () => unknown): void => {
  it(name, { skip: NEEDS_QEMU, timeout: 120_000 }, async () => {
    await run();
  });
};

describe('the memory devices of a real QEMU', () => {
  let qemu: RealQemu;
  let qmp: Qmp;
  let machine: Machine;

  before(async () => {
    if (NEEDS_QEMU !== false) return;
    qemu = new RealQemu(() => [
      ...['-machine', 'pc', '-m', '64M,slots=4,maxmem=2G', '-device', 'virtio-balloon-pci,id=balloon0'],
      ...['-object', 'memory-backend-ram,id=m0,size=128M', '-device', 'virtio-mem-pci,memdev=m0'],
      ...['-object', 'memory-backend-ram,id=m1,size=256M'],
      ...['-device', 'virtio-mem-pci,id=plug1,memdev=m1,requested-size=32M'],
      ...['-object', 'memory-backend-ram,id=d0,size=128M', '-device', 'pc-dimm,memdev=d0'],
    ]);
    qmp = await qemu.connect({ clock: new VirtualClock() });
    machine = await Machine.meet(
      { qmp, socket: 'one', clock: new VirtualClock(), metBefore: () => null, switchesPolling: true },
      NEVER,
    );
  });
  after(async () => {
    if (NEEDS_QEMU === false) await qemu.close();
  });

  real('are no part of what its balloon counts; DIMMs are', async () => {
    assert.equal(decodeBalloon(await qmp.execute('query-balloon')), 192 * MIB);
    assert.equal(machine.base, 192 * MIB);
  });

  real('are found with an id and without, and asked for what is added to boot memory', async () => {
    const { plugs } = machine;
    assert.deepEqual(
      plugs.map(({ path, memdev, maximum }) => [path, memdev, maximum]),
      [
        ['/machine/peripheral-anon/device[0]', '/objects/m0', pagesOf(128)],
        ['/machine/peripheral/plug1', '/objects/m1', pagesOf(256)],
      ],
    );
    const now = await machine.readPlugs();
    assert.deepEqual(
      now.map(({ plugged, asked }) => [plugged, asked]),
      [
        [0, 0],
        [0, pagesOf(32)],
      ],
    );
    const requests = machine.plugHistory.plan(now, pagesOf(192)) as PlugRequests<MachinePlugNow>;
    await askDevices(requests, ({ device, size }) => machine.plug(device, size), NEVER);
    assert.deepEqual(
      (await machine.readPlugs()).map(({ asked }) => asked),
      [pagesOf(128), pagesOf(64)],
    );
    const look = await machine.look(millis(0));
    // No guest is there to plug any of it in.
    assert.deepEqual(look.plugged, { plugged: 0, asked: pagesOf(192), pluggable: pagesOf(384) });
    assert.equal(look.actual, 192 * MIB);
    const seen = { ...look, base: machine.base, deflatesOnOom: false, asked: null, before: new HeldBefore() };
    const { current, maximum } = readingOf(seen, { at: millis(0), wall: millis(0) });
    assert.ok(current.known && current.value === pagesOf(192));
    assert.ok(maximum.known && maximum.value === pagesOf(576));
  });

  real('are looked at anew when the balloon counts a DIMM that was not there', async () => {
    await qmp.execute('object-add', { 'qom-type': 'memory-backend-ram', id: 'd1', size: 256 * MIB });
    await qmp.execute('device_add', { driver: 'pc-dimm', id: 'dimm1', memdev: 'd1' });
    const { actual } = await machine.look(millis(1_000));
    assert.deepEqual([actual, machine.base], [448 * MIB, 448 * MIB]);
  });

  real('refuse what is no multiple of their blocks, and what is too much', async () => {
    const [first] = machine.plugs;
    assert.ok(first !== undefined);
    for (const size of [pages(first.block / 2), pagesOf(256)]) {
      await assert.rejects(
        machine.plug(first, size),
        (error) => (error as QmpError).qmpCode === 'EREFUSED' && /requested-size/.test((error as QmpError).message),
      );
    }
  });
});
