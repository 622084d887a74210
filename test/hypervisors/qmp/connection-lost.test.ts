/** Protects what is known of a machine from being forgotten with the connection to its monitor, which may be lost while its QEMU runs on. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { guestSize, pages } from '../../../src/units.js';
import { openRig, type Rig } from './support/rig.js';

const GUEST = 'qmp/one';
const NEVER = new AbortController().signal;

async function loseConnection(rig: Rig, times = 1): Promise<void> {
  rig.qemus[0]?.last.socket.destroy();
  await rig.untilNotice('it left', ({ kind }) => kind === 'guest-left', times);
  const came = (): number => rig.notices.filter(({ kind }) => kind === 'guest-came').length;
  for (let waited = 0; waited < 20 && came() <= times; waited += 1) await rig.pass(500);
  await rig.untilCame(1 + times);
}

describe('a machine whose connection was lost and is there again', () => {
  it('was still told what it was told, so that nobody else is promised what it is about to take', async (test) => {
    const rig = await openRig(test, 'one');
    await rig.host.setTarget(GUEST, guestSize(pages(200_000)), NEVER);
    await loseConnection(rig);
    const { asked: before } = await rig.reading(GUEST);
    assert.ok(before.known && before.value === 200_000);
    await rig.host.setTarget(GUEST, guestSize(pages(150_000)), NEVER);
    await loseConnection(rig, 2);
    const { asked } = await rig.reading(GUEST);
    assert.ok(asked.known && asked.value === 150_000);
  });

  it('was told nothing yet where it is another process of its name', async (test) => {
    const rig = await openRig(test, 'one');
    await rig.host.setTarget(GUEST, guestSize(pages(200_000)), NEVER);
    const [qemu] = rig.qemus;
    assert.ok(qemu);
    // The fake is no process of its own: by another name it is another machine.
    qemu.machine.name = 'two';
    await loseConnection(rig);
    const { asked } = await rig.reading('qmp/two');
    assert.ok(!asked.known && asked.reason === 'not-reported');
  });
});
