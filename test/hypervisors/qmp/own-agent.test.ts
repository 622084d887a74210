/** Protects our own agent as a source: what it says is known at the next look, and an alarm is told at once and of its guest alone. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { FakeGuest } from '../../agent-port/support/fake-guest.js';
import { until } from '../../qmp/support/opened.js';
import { reportText } from '../../support/report-text.js';
import { Rig } from './support/rig.js';

const PORT = 'org.selfballoon.0';

interface World {
  readonly rig: Rig;
  readonly guest: FakeGuest;
}

/** A host with one machine that has the port, and one without. */
async function withOwnAgent(test: TestContext, options = {}): Promise<World> {
  const rig = new Rig(options);
  test.after(() => rig.host.close());
  const guest = new FakeGuest(test);
  await guest.start();
  const one = await rig.addQemu(test, 'one');
  one.machine.ports.push({ name: PORT, filename: `disconnected:unix:${guest.path},server=on` });
  await rig.addQemu(test, 'two');
  rig.watch();
  await rig.untilCame(2);
  return { rig, guest };
}

const untilHeard = (guest: FakeGuest): Promise<void> =>
  until('the port was connected to', () => guest.clients.length > 0);

/** Until what was sent over the port has been taken in. */
async function untilReading(rig: Rig, isSo: (reading: Awaited<ReturnType<Rig['reading']>>) => boolean): Promise<void> {
  for (;;) {
    if (isSo(await rig.reading('qmp/one'))) return;
    await rig.pass(10);
  }
}

describe('a machine with our own agent', () => {
  it('is known by its reports, and by nobody else’s', async (test) => {
    const { rig, guest } = await withOwnAgent(test);
    await untilHeard(guest);
    guest.client.write(`${reportText(1)}\n`);
    await untilReading(rig, ({ committed }) => committed.known && committed.value === 20_000);
    assert.ok(!(await rig.reading('qmp/two')).committed.known);
  });

  it('tells an alarm between two looks, once, and of its own guest', async (test) => {
    const { rig, guest } = await withOwnAgent(test);
    await untilHeard(guest);
    guest.client.write(`${reportText(1)}\n`);
    await untilReading(rig, ({ committed }) => committed.known);
    const alarms = (): readonly unknown[] =>
      rig.notices.flatMap((notice) => (notice.kind === 'guest-alarm' ? [[notice.guest, notice.alarm.cause]] : []));
    guest.client.write(`${reportText(2, { alarms: 1, alarm: 'stalled' })}\n`);
    for (let turn = 0; turn < 1_000 && alarms().length === 0; turn += 1) await rig.pass(10);
    guest.client.write(`${reportText(3, { alarms: 1, alarm: 'stalled' })}\n`);
    await rig.pass(200);
    assert.deepEqual(alarms(), [['qmp/one', 'stalled']]);
  });

  it('needs no statistics at a time of ours, as the machine without does', async (test) => {
    const { rig, guest } = await withOwnAgent(test);
    await untilHeard(guest);
    guest.client.write(`${reportText(1)}\n`);
    await untilReading(rig, ({ available }) => available.known);
    const sets = (place: number): number =>
      rig.qemus[place]?.requests.filter(({ execute }) => execute === 'qom-set').length ?? Number.NaN;
    for (let look = 0; look < 4; look += 1) {
      await rig.pass(1_000);
      await rig.look(['qmp/one', 'qmp/two']);
    }
    await rig.pass(1_000);
    await until('the machine without is asked anew', () => sets(1) === 3);
    assert.equal(sets(0), 1);
  });

  it('that says nonsense is its own trouble: it is shown, and the machine is read as ever', async (test) => {
    const { rig, guest } = await withOwnAgent(test);
    await untilHeard(guest);
    guest.client.write(`${reportText(1)}\n`);
    await untilReading(rig, ({ committed }) => committed.known);
    guest.client.write('{"v":1,"beat":-1}\n');
    await untilReading(rig, ({ refusal }) => refusal !== undefined);
    assert.ok((await rig.reading('qmp/one')).current.known);
    assert.equal((await rig.reading('qmp/two')).refusal, undefined);
  });

  it('is not connected to where it is switched off', async (test) => {
    const { rig, guest } = await withOwnAgent(test, { hearsOwn: false });
    for (let turn = 0; turn < 20; turn += 1) await rig.pass(100);
    await rig.reading('qmp/one');
    assert.equal(guest.clients.length, 0);
  });
});
