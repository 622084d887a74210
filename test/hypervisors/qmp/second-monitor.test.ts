/** Protects a machine with two monitors from being driven as two: each would undo what the other does. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { until } from '../../qmp/support/opened.js';
import { hostFolder } from './support/host-folder.js';
import { Rig } from './support/rig.js';

async function opened(test: TestContext, ...names: readonly string[]): Promise<Rig> {
  const rig = new Rig({ root: hostFolder(test, 60) });
  test.after(() => rig.host.close());
  for (const name of names) await rig.addQemu(test, name);
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
