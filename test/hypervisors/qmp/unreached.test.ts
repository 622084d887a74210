/** Protects that whoever may be behind a socket is not forgotten, and that one who is gone is. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { temporaryFolder } from '../../signals/proc-roots.js';
import type { FakeQemu } from '../../qmp/support/fake-qemu.js';
import { until } from '../../qmp/support/opened.js';
import { openRig, Rig } from './support/rig.js';

describe('a socket behind which nobody is known', () => {
  it('is told of with the reason, but not where nobody listens any more', async (test) => {
    const rig = await openRig(test, 'one');
    assert.deepEqual(rig.host.unreached?.(), []);
    const silent = await rig.addQemu(test, 'two');
    silent.greeting = [];
    const deserted = join(temporaryFolder(test), 'deserted.qmp');
    writeFileSync(deserted, '');
    rig.sockets.push(deserted, '/dev/null/closed.qmp');
    const stopped = await rig.addQemu(test, 'four');
    stopped.machine.commands.set('query-name', () => {
      stopped.isHolding = true;
      return {};
    });
    rig.sockets.push(join(temporaryFolder(test), 'gone.qmp'));
    const told = (): readonly string[] => rig.host.unreached?.() ?? [];
    const isKnown = (): boolean => told().length === 3 && rig.host.isMeeting === false;
    for (let seconds = 0; !isKnown(); seconds += 1) {
      assert.ok(seconds < 60, told().join());
      await rig.pass(1_000);
    }
    assert.match(told().join('\n'), new RegExp(`${silent.path} did not greet`));
    assert.match(told().join('\n'), /closed\.qmp failed/);
    assert.match(told().join('\n'), new RegExp(stopped.path));
    assert.equal(told().length, 3);
  });

  it('is not told of where a proxy goes on listening in front of a QEMU that has ended, but where nobody ever was', async (test) => {
    const rig = await openRig(test, 'one');
    const [known] = rig.qemus;
    assert.ok(known);
    const never = await rig.addQemu(test, 'never');
    for (const qemu of [known, never]) qemu.hangsUp = true;
    known.last.socket.end();
    await rig.untilNotice('it left', ({ kind }) => kind === 'guest-left');
    for (let seconds = 0; known.connections.length < 3 || never.connections.length < 3; seconds += 1) {
      assert.ok(seconds < 60, 'it is tried again and again');
      await rig.pass(1_000);
    }
    const told = rig.host.unreached?.() ?? [];
    assert.equal(told.length, 1, told.join());
    assert.match(told.join(), new RegExp(`ended the connection on ${never.path}`));
  });

  it('is being met until that is told, so that whoever waits for all does not go by those that answered', async (test) => {
    const rig = new Rig();
    test.after(() => rig.host.close());
    await rig.addQemu(test, 'quick');
    const silent = await rig.addQemu(test, 'silent');
    silent.greeting = [];
    const told = (): readonly string[] => rig.host.unreached?.() ?? [];
    assert.equal(rig.host.isMeeting, true, 'nobody has looked for sockets yet');
    assert.match(told().join(), /the monitors of this host: they have not been looked for yet/);
    rig.watch();
    await rig.untilCame(1);
    await rig.pass(4_000);
    assert.equal(rig.host.isMeeting, true);
    assert.deepEqual(told(), [`the QEMU at ${silent.path} has not answered yet`]);
    await rig.pass(1_500);
    await until('it has failed to be met', () => rig.host.isMeeting === false);
    assert.match(told().join(), new RegExp(`${silent.path} did not greet`));
    assert.equal(told().length, 1);
  });

  it('is being met again when its connection is lost, until it is known whether anybody listens', async (test) => {
    const rig = await openRig(test, 'one');
    assert.equal(rig.host.isMeeting, false);
    const [qemu] = rig.qemus;
    assert.ok(qemu);
    const told = (): readonly string[] => rig.host.unreached?.() ?? [];
    await qemu.end();
    await rig.untilNotice('it left', ({ kind }) => kind === 'guest-left');
    assert.equal(rig.host.isMeeting, true);
    assert.deepEqual(told(), [`the QEMU at ${qemu.path} has not answered yet`]);
    await rig.pass(250);
    await until('nobody listens', () => rig.host.isMeeting === false);
    assert.deepEqual(told(), []);
  });

  it('is being met as long as it waits for its name', async (test) => {
    const rig = new Rig();
    test.after(() => rig.host.close());
    const silent = await rig.addQemu(test, 'silent');
    silent.greeting = [];
    const waiting = await rig.addQemu(test, 'waiting');
    rig.watch();
    await until('it is asked for statistics', () => waiting.machine.pollingInterval > 0);
    for (let turn = 0; turn < 20; turn += 1) await rig.pass(1);
    assert.ok(rig.host.unreached?.().includes(`the QEMU at ${waiting.path} has not answered yet`));
  });
});

describe('a machine that waits for its name when the end comes', () => {
  /** It was met half a second before the sockets are looked for again, behind one that does not speak. */
  async function waitingAtTheNextScan(test: TestContext): Promise<{ readonly rig: Rig; readonly waiting: FakeQemu }> {
    const rig = new Rig();
    test.after(() => rig.host.close());
    const silent = await rig.addQemu(test, 'silent');
    silent.greeting = [];
    const waiting = await rig.addQemu(test, 'waiting');
    await waiting.stop();
    rig.watch();
    // It is tried again after 200, 600 and 1,400 ms; the sockets are looked for after 2,000.
    await rig.pass(1_000);
    await waiting.listen();
    await rig.pass(500);
    await until('it was asked for all', () => waiting.machine.pollingInterval > 0);
    return { rig, waiting };
  }

  it('has its statistics switched off again', async (test) => {
    const rig = new Rig();
    const silent = await rig.addQemu(test, 'silent');
    silent.greeting = [];
    const waiting = await rig.addQemu(test, 'waiting');
    rig.watch();
    await until('it is asked for statistics', () => waiting.machine.pollingInterval > 0);
    for (let turn = 0; turn < 20; turn += 1) await rig.pass(1);
    assert.deepEqual(rig.notices.length, 0);
    await rig.host.close();
    assert.equal(waiting.machine.pollingInterval, 0);
  });

  it('is not entered any more where its socket has gone meanwhile', async (test) => {
    const { rig, waiting } = await waitingAtTheNextScan(test);
    rig.sockets.pop();
    await rig.pass(600);
    await until('it is let go of', () => waiting.machine.pollingInterval === 0);
    for (let turn = 0; turn < 20; turn += 1) await rig.pass(1);
    assert.deepEqual(rig.notices, []);
  });

  it('is not entered either where its turn comes while what was changed in it is put back', async (test) => {
    const { rig, waiting } = await waitingAtTheNextScan(test);
    for (let turn = 0; turn < 20; turn += 1) await rig.pass(1);
    waiting.isHolding = true;
    rig.sockets.pop();
    await rig.pass(500);
    await until('it is let go of', () => waiting.held.length > 0);
    await rig.pass(600);
    for (let turn = 0; turn < 20; turn += 1) await rig.pass(1);
    waiting.isHolding = false;
    waiting.release();
    assert.deepEqual(rig.notices, []);
  });
});
