/** Protects the host of QEMU machines from promising memory again that a guest was given and has not touched yet. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { ReadOutcome } from '../../../src/control/ports.js';
import { BALLOON_PATH, fakePlug, type FakePlug } from '../../qmp/support/fake-machine.js';
import type { FakeQemu } from '../../qmp/support/fake-qemu.js';
import { until } from '../../qmp/support/opened.js';
import { fixture } from '../../support/paths.js';
import { hostFolder, setResident } from './support/host-folder.js';
import { MIB, Rig } from './support/rig.js';

const GUEST = 'qmp/one';

async function opened(test: TestContext, root: string): Promise<(actualMib: number) => Promise<(string | number)[]>> {
  const rig = new Rig({ root });
  test.after(() => rig.host.close());
  const { machine } = await rig.addQemu(test, 'one');
  rig.watch();
  await rig.untilCame(1);
  return async (actualMib) => {
    machine.actual = actualMib * MIB;
    await rig.pass(5_000);
    return (await rig.look([GUEST])).map(told);
  };
}

interface Pair {
  readonly rig: Rig;
  /** That of the first. */
  readonly qemu: FakeQemu;
}

/** Two machines of one host, the first with these devices for memory. */
async function openedPair(test: TestContext, root: string, plugs: readonly FakePlug[] = []): Promise<Pair> {
  const rig = new Rig({ root });
  test.after(() => rig.host.close());
  const qemu = await rig.addQemu(test, 'one');
  qemu.machine.plugs = [...plugs];
  await rig.addQemu(test, 'two');
  rig.watch();
  await rig.untilCame(2);
  return { rig, qemu };
}

/** In MiB: what is free, or what the guest holds. */
function told(outcome: ReadOutcome): string | number {
  if (outcome.kind === 'reading') return outcome.reading.current.known ? 'read' : 'unknown';
  if (outcome.kind !== 'host-reading') return outcome.kind;
  return outcome.host.free.known ? outcome.host.free.value / 256 : 'unknown';
}

describe('memory that a machine was given again', () => {
  it('is not free any more from the look on that sees it held, and before that look ends its promise', async (test) => {
    const lookAt = await opened(test, hostFolder(test, 60));
    const [free = NaN] = (await lookAt(512)).map(Number);
    assert.deepEqual(await lookAt(100), [free, 'read']);
    assert.deepEqual(await lookAt(200), [free, free - 100, 'read']);
    assert.deepEqual(await lookAt(200), [free - 100, 'read']);
    assert.deepEqual(await lookAt(100), [free - 100, 'read']);
    assert.deepEqual(await lookAt(100), [free, 'read']);
  });

  it('is not free for others from the moment on at which its guest begins anew, without a balloon', async (test) => {
    const { rig, qemu } = await openedPair(test, hostFolder(test, 60));
    qemu.machine.actual = 900 * MIB;
    const lookAt = async (guest: string): Promise<string | number | undefined> =>
      (await rig.look([guest])).map(told)[0];
    const free = Number(await lookAt('qmp/one'));
    qemu.emit('RESET', { guest: true, reason: 'guest-reset' });
    await rig.untilNotice('it begins anew', ({ kind }) => kind === 'guest-alarm');
    assert.equal(await lookAt('qmp/two'), free - 124, 'nobody has looked at it yet');
    assert.equal(await lookAt('qmp/one'), free - 124);
    assert.equal(await lookAt('qmp/two'), free - 124);
    await rig.pass(2_000);
    qemu.machine.resize(900 * MIB);
    // Its event comes before the answers to a look, and counts from the next one on.
    await lookAt('qmp/one');
    await rig.pass(1);
    await lookAt('qmp/one');
    assert.equal(await lookAt('qmp/two'), free);
  });

  it('counts as untouched again when its guest gives it up, also where another one is looked at', async (test) => {
    const root = hostFolder(test, 200);
    const { rig, qemu } = await openedPair(test, root);
    const { machine } = qemu;
    const lookAt = async (guest: string): Promise<string | number | undefined> =>
      (await rig.look([guest])).map(told)[0];
    machine.actual = 100 * MIB;
    const free = Number(await lookAt('qmp/one'));
    machine.actual = 200 * MIB;
    await rig.pass(2_000);
    assert.equal(await lookAt('qmp/one'), free);
    // It frees what it had, and reports that to its host.
    setResident(root, 120);
    await rig.pass(2_000);
    assert.equal(await lookAt('qmp/two'), free - 80);
  });

  it('is all that it has from the moment on at which its balloon is unplugged', async (test) => {
    const plugs = [fakePlug({ requested: 64 * MIB, size: 64 * MIB })];
    const { rig, qemu } = await openedPair(test, hostFolder(test, 60), plugs);
    const looks = async (guest: string): Promise<(string | number)[]> => (await rig.look([guest])).map(told);
    qemu.machine.actual = 900 * MIB;
    const [free = NaN] = (await looks(GUEST)).map(Number);
    qemu.machine.actual = null;
    qemu.emit('DEVICE_DELETED', { device: 'balloon0', path: BALLOON_PATH });
    await rig.untilNotice('it changed', ({ kind }) => kind === 'guest-changed');
    assert.deepEqual(await looks('qmp/two'), [free - 124, 'read'], 'nobody has looked at it yet');
    assert.deepEqual(await looks(GUEST), [free - 124, 'unknown']);
    // Somebody plugs more in.
    const [plug] = qemu.machine.plugs;
    assert.ok(plug !== undefined);
    [plug.requested, plug.size] = [96 * MIB, 96 * MIB];
    assert.deepEqual(await looks(GUEST), [free - 124, free - 156, 'unknown']);
    assert.deepEqual(await looks('qmp/two'), [free - 156, 'read']);
  });

  it('is all that it has also where a look at its balloon is answered when that is gone', async (test) => {
    const { rig, qemu } = await openedPair(test, hostFolder(test, 60));
    qemu.machine.actual = 900 * MIB;
    const [free = NaN] = (await rig.look([GUEST])).map(told).map(Number);
    qemu.isHolding = true;
    const asked = qemu.asked.length;
    const late = rig.look([GUEST]);
    await until('its balloon was asked about', () => qemu.asked.slice(asked).includes('query-balloon'));
    qemu.emit('DEVICE_DELETED', { device: 'balloon0', path: BALLOON_PATH });
    await rig.untilNotice('it changed', ({ kind }) => kind === 'guest-changed');
    qemu.release();
    assert.equal((await late).map(told).at(-1), 'unknown');
    assert.equal((await rig.look(['qmp/two'])).map(told)[0], free - 124);
  });

  it('is still known when the connection was lost and is there again', async (test) => {
    const rig = new Rig({ root: hostFolder(test, 60) });
    test.after(() => rig.host.close());
    const qemu = await rig.addQemu(test, 'one');
    rig.watch();
    await rig.untilCame(1);
    const look = async (): Promise<string | number | undefined> => (await rig.look([GUEST])).map(told).at(-2);
    qemu.machine.actual = 100 * MIB;
    const free = Number(await look());
    qemu.machine.actual = 200 * MIB;
    assert.equal(await look(), free - 100);
    qemu.last.socket.destroy();
    await rig.untilNotice('it left', ({ kind }) => kind === 'guest-left');
    for (let waited = 0; waited < 20 && rig.notices.length < 3; waited += 1) await rig.pass(500);
    await rig.untilCame(2);
    assert.equal(await look(), free - 100);
  });

  it('is free by its kernel’s word where nobody can tell what its QEMU has', async (test) => {
    const lookAt = await opened(test, fixture('xen-guest'));
    const [free = NaN] = (await lookAt(512)).map(Number);
    await lookAt(100);
    assert.deepEqual(await lookAt(200), [free, 'read']);
  });
});
