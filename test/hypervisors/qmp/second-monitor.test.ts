/** Protects a machine with two monitors from being driven as two: each would undo what the other does. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { guestSize, pages } from '../../../src/units.js';
import { until } from '../../qmp/support/opened.js';
import { hostFolder, setProcess } from './support/host-folder.js';
import { Rig } from './support/rig.js';

const NEVER = new AbortController().signal;
const UUID = '0b5c8c55-97f3-4ab9-ad63-4a1c7a0a2f8e';
const OTHER_UUID = '1b5c8c55-97f3-4ab9-ad63-4a1c7a0a2f8e';

async function opened(test: TestContext, ...names: readonly string[]): Promise<Rig> {
  const rig = new Rig({ root: hostFolder(test, 60) });
  test.after(() => rig.host.close());
  for (const name of names) await rig.addQemu(test, name);
  rig.watch();
  return rig;
}

/** Two monitors of machines called `web`, with these UUIDs, at a process of that name that was started so. */
async function openedAt(
  test: TestContext,
  {
    name,
    command,
    uuids = [],
  }: { readonly name: string; readonly command: string; readonly uuids?: readonly string[] },
): Promise<Rig> {
  const root = hostFolder(test, 60);
  setProcess(root, process.pid, { name, command });
  const rig = new Rig({ root });
  test.after(() => rig.host.close());
  for (const place of [0, 1]) {
    const { machine } = await rig.addQemu(test, 'web');
    machine.uuid = uuids[place] ?? machine.uuid;
  }
  rig.watch();
  return rig;
}

const log = ({ notices }: Rig): readonly string[] =>
  notices.map(({ kind, guest }) => `${kind} ${typeof guest === 'string' ? guest : guest.name}`);

describe('a machine with two monitors', () => {
  it('is one machine, and that is told', async (test) => {
    const rig = await opened(test, 'web', 'web');
    await until('it is told', () => rig.told.length === 1);
    assert.match(rig.told.join(), /is a second monitor of qmp\/web, which is driven already: it is left alone/);
    assert.deepEqual(log(rig), ['guest-came web']);
    assert.deepEqual(rig.host.unreached?.(), []);
  });

  it('is driven through the second when the first is gone', async (test) => {
    const rig = await opened(test, 'web', 'web');
    await until('it is told', () => rig.told.length === 1);
    const first = rig.qemus.find(({ path }) => !rig.told.join().includes(path));
    await first?.end();
    for (let seconds = 0; log(rig).length < 3; seconds += 1) {
      assert.ok(seconds < 30, log(rig).join());
      await rig.pass(1_000);
    }
    assert.deepEqual(log(rig), ['guest-came web', 'guest-left qmp/web', 'guest-came web']);
  });

  it('is not what two machines of one process with names of their own are', async (test) => {
    const rig = await opened(test, 'web', 'db');
    await rig.untilCame(2);
    assert.deepEqual(rig.told, []);
  });
});

describe('two monitors of one name at one process', () => {
  const PROXY = { name: 'socat', command: '/usr/bin/socat' };

  it('are of one machine where the process was started as a QEMU, whatever it is called now', async (test) => {
    const rig = await openedAt(test, { name: 'acct', command: '/usr/bin/qemu-system-x86_64' });
    await until('it is told', () => rig.told.length === 1);
    assert.match(rig.told.join(), /is a second monitor of qmp\/web/);
    assert.deepEqual(log(rig), ['guest-came web']);
  });

  it('are of two where it is somebody between who passes on what they say', async (test) => {
    const rig = await openedAt(test, PROXY);
    await rig.untilCame(2);
    assert.match(rig.told.join(), /another machine has the name/);
  });

  it('are of two also when the connection to one of them was lost: what the other was told is not taken for its own', async (test) => {
    const rig = await openedAt(test, PROXY);
    await rig.untilCame(2);
    const ids = rig.notices.flatMap(({ guest }) => (typeof guest === 'string' ? [] : [guest.id]));
    const [first, second] = ids;
    assert.ok(first !== undefined && second !== undefined);
    await rig.host.setTarget(first, guestSize(pages(200_000)), NEVER);
    await rig.host.setTarget(second, guestSize(pages(150_000)), NEVER);
    rig.qemus[1]?.last.socket.destroy();
    await rig.untilNotice('it left', ({ kind }) => kind === 'guest-left');
    await rig.pass(1_000);
    await rig.untilCame(3);
    const { asked } = await rig.reading(second);
    assert.ok(asked.known);
    assert.equal(asked.value, 150_000);
  });

  it('are of one where both say the same UUID, whoever is between', async (test) => {
    const rig = await openedAt(test, { ...PROXY, uuids: [UUID, UUID] });
    await until('it is told', () => rig.told.length === 1);
    assert.match(rig.told.join(), /is a second monitor of qmp\/web/);
    assert.deepEqual(log(rig), ['guest-came web']);
  });

  it('are of two where they say others', async (test) => {
    const rig = await openedAt(test, { ...PROXY, uuids: [UUID, OTHER_UUID] });
    await rig.untilCame(2);
    assert.doesNotMatch(rig.told.join(), /second monitor/);
  });
});
