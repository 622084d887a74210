/** Protects that memory is plugged into the devices that are meant, in their blocks, and that what is there is counted whole. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { HypervisorError } from '../../../src/errors.js';
import { mib, mibToPages } from '../../../src/units.js';
import { fakePlug, type FakeMachine, type FakePlug } from '../../qmp/support/fake-machine.js';
import { until } from '../../qmp/support/opened.js';
import { MIB, Rig } from './support/rig.js';

const NEVER = new AbortController().signal;

/** A host with a machine of 1 GiB that has these devices. */
async function openPlugged(test: TestContext, ...plugs: FakePlug[]): Promise<{ rig: Rig; machine: FakeMachine }> {
  const rig = new Rig();
  test.after(() => rig.host.close());
  const { machine } = await rig.addQemu(test, 'one');
  machine.plugs = plugs;
  rig.watch();
  await rig.untilCame(1);
  return { rig, machine };
}

const plug = async ({ host }: Rig, size: number): Promise<void> => {
  await host.setGrowth?.('qmp/one', mibToPages(mib(size)), NEVER);
};

describe('a machine with memory devices', () => {
  it('says in which blocks it can grow, and holds what is plugged in beyond its boot memory', async (test) => {
    const { rig, machine } = await openPlugged(test, fakePlug({ requested: 64 * MIB, size: 32 * MIB }));
    const [came] = rig.notices;
    assert.ok(came?.kind === 'guest-came' && came.guest.capabilities.growthBlock === 512);
    machine.actual = 700 * MIB;
    const { current, maximum, growth } = await rig.reading('qmp/one');
    assert.ok(current.known && current.value === mibToPages(mib(732)));
    assert.ok(maximum.known && maximum.value === mibToPages(mib(2_048)));
    assert.deepEqual(growth, {
      plugged: { known: true, value: 32 * 256, at: 0 },
      asked: { known: true, value: 64 * 256, at: 0 },
      pluggable: { known: true, value: 1_024 * 256, at: 0 },
    });
  });

  it('is asked in bytes, for what is added to its boot memory', async (test) => {
    const { rig } = await openPlugged(test, fakePlug());
    await plug(rig, 256);
    const asked = rig.qemus[0]?.requests.filter(({ execute }) => execute === 'qom-set').at(-1);
    assert.deepEqual(asked?.['arguments'], {
      path: '/machine/peripheral/vm0',
      property: 'requested-size',
      value: 268_435_456,
    });
    assert.ok(!rig.qemus[0]?.asked.includes('balloon'));
  });

  it('has its devices filled in order, those without an id too', async (test) => {
    const first = fakePlug({ id: null, memdev: '/objects/a', maxSize: 128 * MIB });
    const second = fakePlug({ id: 'vm1', memdev: '/objects/b', maxSize: 256 * MIB });
    const { rig, machine } = await openPlugged(test, first, second);
    await plug(rig, 192);
    assert.deepEqual([first.requested, second.requested], [128 * MIB, 64 * MIB]);
    await plug(rig, 64);
    assert.deepEqual([first.requested, second.requested], [64 * MIB, 0]);
    machine.isObedient = false;
    await plug(rig, 384);
    const { growth } = await rig.reading('qmp/one');
    assert.ok(growth?.plugged.known && growth.plugged.value === 64 * 256);
    assert.ok(growth.asked.known && growth.asked.value === 384 * 256);
  });

  it('is not asked for what is no whole blocks, or more than there can be', async (test) => {
    const { rig } = await openPlugged(test, fakePlug());
    for (const size of [1, 1_026]) {
      await assert.rejects(plug(rig, size), (error) => error instanceof HypervisorError && error.code === 'EINVAL');
    }
    assert.ok(rig.qemus[0]?.requests.every((request) => !JSON.stringify(request).includes('requested-size')));
  });

  it('is not known as a whole where QEMU does not say what is plugged in', async (test) => {
    const { rig, machine } = await openPlugged(test, fakePlug());
    for (const answer of [[], 'nonsense', [{ type: 'virtio-mem', data: {} }]]) {
      machine.commands.set('query-memory-devices', () => answer);
      const { current, maximum, growth } = await rig.reading('qmp/one');
      assert.ok(!current.known && !maximum.known && growth?.plugged.known === false);
      assert.equal(current.reason, 'unreadable');
    }
  });

  it('lacks a balloon where it has none, and not the word of what is plugged in', async (test) => {
    const { rig, machine } = await openPlugged(test, fakePlug({ requested: 64 * MIB, size: 64 * MIB }));
    machine.actual = null;
    rig.qemus[0]?.emit('DEVICE_DELETED', { device: 'balloon0', path: '/machine/peripheral/balloon0' });
    await rig.untilNotice('it changed', ({ kind }) => kind === 'guest-changed');
    const { current, maximum, growth } = await rig.reading('qmp/one');
    assert.ok(!current.known && current.reason === 'not-reported' && current.detail.includes('has no balloon'));
    assert.ok(maximum.known && growth?.plugged.known && growth.plugged.value === 64 * 256);
  });

  it('can grow from the look on that finds a device which was added while it ran', async (test) => {
    const { rig, machine } = await openPlugged(test);
    const blocks = (): readonly unknown[] =>
      rig.notices.flatMap((notice) => (notice.kind === 'guest-changed' ? [notice.guest.capabilities.growthBlock] : []));
    await rig.look(['qmp/one']);
    machine.plugs = [fakePlug()];
    await rig.pass(60_000);
    const { current, maximum } = await rig.reading('qmp/one');
    assert.ok(current.known && maximum.known, 'nothing else becomes unknown by that');
    await until('its block is told', () => blocks().length === 1);
    await plug(rig, 64);
    assert.equal(machine.plugs[0]?.requested, 64 * MIB);
    // It has one, so that all are read at each look.
    machine.plugs.push(fakePlug({ id: null, memdev: '/objects/mem1', blockSize: 4 * MIB }));
    await rig.look(['qmp/one']);
    await until('the larger block is told', () => blocks().length === 2);
    assert.deepEqual(blocks(), [512, 1_024]);
  });

  it('can grow at once where somebody plugs memory into a device that was added', async (test) => {
    const { rig, machine } = await openPlugged(test);
    await rig.look(['qmp/one']);
    machine.plugs = [fakePlug({ requested: 64 * MIB, size: 64 * MIB })];
    rig.qemus[0]?.emit('MEMORY_DEVICE_SIZE_CHANGE', {
      id: 'vm0',
      size: 64 * MIB,
      'qom-path': '/machine/peripheral/vm0',
    });
    // The event and the answers to a look come on one connection, one after the other.
    await rig.look(['qmp/one']);
    await rig.look(['qmp/one']);
    const { growth } = await rig.reading('qmp/one');
    assert.ok(growth?.plugged.known && growth.plugged.value === 64 * 256);
  });

  it('is not taken to have one still that goes while it is asked for them', async (test) => {
    const { rig, machine } = await openPlugged(test, fakePlug());
    const [qemu] = rig.qemus;
    assert.ok(qemu !== undefined);
    const { tamper } = qemu;
    const gone = JSON.stringify({
      event: 'DEVICE_DELETED',
      data: { device: 'vm0', path: '/machine/peripheral/vm0' },
      timestamp: { seconds: 1, microseconds: 0 },
    });
    // QEMU has answered and then lost it; both come at once, and the event is heard first.
    qemu.tamper = (answer, request) =>
      request['execute'] === 'query-memory-devices'
        ? [`${gone}\n${JSON.stringify(answer)}\n`]
        : tamper(answer, request);
    await rig.look(['qmp/one']);
    qemu.tamper = tamper;
    machine.plugs = [];
    await rig.untilNotice('it changed', ({ kind }) => kind === 'guest-changed');
    await rig.pass(1_000);
    const { current, growth } = await rig.reading('qmp/one');
    assert.ok(current.known && growth === undefined);
    const changed = rig.notices.filter(({ kind }) => kind === 'guest-changed');
    assert.equal(changed.length, 1);
  });

  it('cannot grow any more when its device is unplugged', async (test) => {
    const { rig, machine } = await openPlugged(test, fakePlug());
    machine.plugs = [];
    rig.qemus[0]?.emit('DEVICE_DELETED', { device: 'vm0', path: '/machine/peripheral/vm0' });
    await rig.untilNotice('it changed', ({ kind }) => kind === 'guest-changed');
    const changed = rig.notices.at(-1);
    assert.ok(changed?.kind === 'guest-changed' && changed.guest.capabilities.growthBlock === undefined);
    await assert.rejects(plug(rig, 2), (error) => error instanceof HypervisorError && error.code === 'EPERM');
    assert.equal((await rig.reading('qmp/one')).growth, undefined);
  });

  it('has its use counted without the balloon, whatever is plugged in', async (test) => {
    const { rig, machine } = await openPlugged(test, fakePlug({ requested: 512 * MIB, size: 512 * MIB }));
    machine.actual = 1_000 * MIB;
    machine.lastUpdate = rig.seconds;
    machine.stats = { 'stat-total-memory': 1_500 * MIB, 'stat-available-memory': 900 * MIB, 'stat-swap-out': 1 };
    const { used } = await rig.reading('qmp/one');
    // Its total has fallen with the balloon; it keeps 1,000 MiB and has 512 plugged in.
    assert.ok(used.known && used.value === 612 * 256);
    machine.stats = { ...machine.stats, 'stat-total-memory': 1_530 * MIB };
    const { used: withBalloon } = await rig.reading('qmp/one');
    // It counts the 24 MiB in the balloon as its own.
    assert.ok(withBalloon.known && withBalloon.value === 612 * 256);
  });

  it('has its DIMMs counted as QEMU does: as a part of what the balloon moves', async (test) => {
    const rig = new Rig();
    test.after(() => rig.host.close());
    const { machine } = await rig.addQemu(test, 'one');
    machine.dimm = 512 * MIB;
    machine.actual = 1_536 * MIB;
    rig.watch();
    await rig.untilCame(1);
    const { current, maximum, growth } = await rig.reading('qmp/one');
    assert.ok(current.known && maximum.known && current.value === maximum.value);
    assert.equal(growth, undefined);
  });
});
