/** Protects the guest agent as a source: what a guest needs is known through it, and its silence or lies are its own guest's trouble alone. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { INSIDE_WAIT } from '../../../src/inside/index.js';
import { FakeAgent, line } from '../../guest-agent/support/fake-agent.js';
import { until } from '../../qmp/support/opened.js';
import { MIB, Rig } from './support/rig.js';

const AGENT = 'org.qemu.guest_agent.0';
const PORT_ID = 'channel0';

/** A host with one machine that has an agent's port, and one without. */
async function withAgent(test: TestContext, agent: FakeAgent, options = {}): Promise<Rig> {
  const rig = new Rig(options);
  test.after(() => {
    // Time stands still: nobody is to be waited for at the end.
    agent.tamper = (answer) => [line(answer)];
    agent.release();
  });
  test.after(() => rig.host.close());
  const path = await agent.listen(test);
  const one = await rig.addQemu(test, 'one');
  one.machine.ports.push({ name: AGENT, filename: `disconnected:unix:${path},server=on`, id: PORT_ID });
  await rig.addQemu(test, 'two');
  rig.watch();
  await rig.untilCame(2);
  return rig;
}

const untilInStep = (agent: FakeAgent): Promise<void> =>
  until('the agent was connected to', () => agent.asked.includes('guest-sync-delimited'));

/** Looks until something is known through the agent: it may be connected to a little later than the machine is. */
async function untilSaid(rig: Rig): Promise<void> {
  for (;;) if ((await rig.reading('qmp/one')).committed.known) return;
}

describe('a machine with a guest agent', () => {
  it('is known by its files too, each signal with its own time', async (test) => {
    const agent = new FakeAgent('xen-guest-256-mib');
    const rig = await withAgent(test, agent);
    await untilSaid(rig);
    await rig.pass(10_000);
    const machine = rig.qemus[0]?.machine;
    assert.ok(machine !== undefined);
    machine.lastUpdate = rig.seconds - 2;
    machine.stats = { 'stat-total-memory': 220 * MIB, 'stat-available-memory': 100 * MIB };
    const { at, committed, reserve, refaults, used, current } = await rig.reading('qmp/one');
    assert.ok(committed.known && committed.at === at);
    assert.ok(reserve.known && reserve.at <= committed.at);
    assert.ok(refaults.known && current.known);
    assert.deepEqual(used, { known: true, value: 924 * 256, at: at - 2_000 });
    const other = await rig.reading('qmp/two');
    assert.ok(!other.committed.known && other.committed.reason === 'not-reported');
  });

  it('has its files closed in the end', async (test) => {
    const agent = new FakeAgent();
    const rig = await withAgent(test, agent);
    await untilSaid(rig);
    assert.equal(agent.handles.size, 4);
    await rig.host.close();
    assert.equal(agent.handles.size, 0);
  });

  it('is not asked through it where that is switched off', async (test) => {
    const agent = new FakeAgent();
    const rig = await withAgent(test, agent, { asksAgent: false });
    assert.ok(!(await rig.reading('qmp/one')).committed.known);
    await rig.pass(10_000);
    assert.equal(agent.connections.length, 0);
  });

  it('says in its description that its balloon lets go by itself, and only where it does', async (test) => {
    const rig = await withAgent(test, new FakeAgent());
    const came = rig.notices.flatMap((notice) => (notice.kind === 'guest-came' ? [notice.guest.capabilities] : []));
    assert.deepEqual(
      came.map(({ deflatesOnOom }) => deflatesOnOom),
      [true, true],
    );
    const stiff = await rig.addQemu(test, 'stiff');
    stiff.machine.deflateOnOom = false;
    await rig.pass(2_001);
    await rig.untilCame(3);
    const last = rig.notices.at(-1);
    assert.ok(last?.kind === 'guest-came' && last.guest.capabilities.deflatesOnOom === false);
  });

  it('is told of once where its port leads nowhere', async (test) => {
    const rig = new Rig();
    test.after(() => rig.host.close());
    const one = await rig.addQemu(test, 'one');
    one.machine.ports.push({ name: AGENT, filename: 'unix:agent.sock,server=on' });
    rig.watch();
    await rig.untilCame(1);
    await rig.reading('qmp/one');
    assert.equal(rig.told.length, 1);
    assert.match(rig.told[0] ?? '', /guest qmp\/one: its guest agent is not listened to: .*relative/);
  });
});

describe('a guest that boots anew', () => {
  const news: readonly (readonly [string, Readonly<Record<string, unknown>>, boolean])[] = [
    ['RESET', { guest: true, reason: 'guest-reset' }, true],
    ['VSERPORT_CHANGE', { id: PORT_ID, open: false }, true],
    // Of two within a second QEMU tells the newest.
    ['VSERPORT_CHANGE', { id: PORT_ID, open: true }, true],
    ['VSERPORT_CHANGE', { id: 'another', open: false }, false],
    ['STOP', {}, false],
  ];
  for (const [name, data, isNewBoot] of news) {
    it(`${isNewBoot ? 'has' : 'has not'} handles of its own from ${name} ${JSON.stringify(data)} on`, async (test) => {
      const agent = new FakeAgent();
      const rig = await withAgent(test, agent);
      await untilSaid(rig);
      await rig.pass(3_000);
      const qemu = rig.qemus[0];
      assert.ok(qemu !== undefined);
      qemu.emit(name, data);
      // What comes next over the same connection shows that it has been heard.
      qemu.emit('DEVICE_DELETED', { device: 'balloon0', path: '/machine/peripheral/balloon0' });
      await until('it was heard', () => rig.notices.some(({ kind }) => kind === 'guest-changed'));
      if (isNewBoot) agent.reboot();
      const others = isNewBoot ? Array.from({ length: 4 }, () => agent.openForOther('/x', 'another text', 5)) : [];
      agent.requests.length = 0;
      const { committed, at } = await rig.reading('qmp/one');
      assert.ok(committed.known && committed.at === at);
      assert.equal(agent.asked.includes('guest-file-open'), isNewBoot);
      for (const { position } of others) assert.equal(position, 5);
      await rig.host.close();
      assert.deepEqual([...agent.handles.values()], others);
    });
  }

  it('while the connection to its agent is lost has handles of its own', async (test) => {
    const agent = new FakeAgent();
    const rig = await withAgent(test, agent);
    await untilSaid(rig);
    agent.connections[0]?.destroy();
    agent.reboot();
    const others = Array.from({ length: 4 }, () => agent.openForOther('/x', 'another text', 5));
    await rig.pass(5_000);
    await until('it is connected to again', () => agent.connections.length === 2);
    const before = rig.clock.now();
    for (let isNew = false; !isNew;) {
      const { committed } = await rig.reading('qmp/one');
      isNew = committed.known && committed.at >= before;
    }
    for (const { position } of others) assert.equal(position, 5);
  });
});

describe('an agent that is slow, silent or lies', () => {
  it('holds its guest’s look up for half a second, and the others’ not at all', async (test) => {
    const agent = new FakeAgent();
    const rig = await withAgent(test, agent);
    await untilSaid(rig);
    const { committed } = await rig.reading('qmp/one');
    await rig.pass(3_000);
    agent.isHolding = true;
    const order: string[] = [];
    const looking = rig.host.read(
      ['qmp/one', 'qmp/two'],
      (outcome) => order.push(outcome.kind === 'reading' ? outcome.guest : outcome.kind),
      new AbortController().signal,
    );
    await until(
      'the agent was asked and the other guest was read',
      () => agent.held.length === 1 && order.length === 2,
    );
    assert.deepEqual(order, ['host-reading', 'qmp/two']);
    await rig.pass(INSIDE_WAIT);
    await looking;
    assert.equal(order[2], 'qmp/one');
    // What it said before is still what is known, and as old as it is.
    const asking = rig.reading('qmp/one');
    await rig.pass(INSIDE_WAIT);
    assert.deepEqual((await asking).committed, committed);
    assert.equal(agent.held.length, 1);
  });

  it('that never answers leaves its guest to its statistics', async (test) => {
    const agent = new FakeAgent();
    agent.isHolding = true;
    const rig = await withAgent(test, agent);
    await untilInStep(agent);
    const machine = rig.qemus[0]?.machine;
    assert.ok(machine !== undefined);
    machine.lastUpdate = rig.seconds;
    machine.stats = { 'stat-total-memory': 900 * MIB, 'stat-available-memory': 700 * MIB };
    const { total, committed } = await rig.reading('qmp/one');
    assert.ok(total.known && !committed.known && committed.reason === 'not-reported');
    await rig.pass(60_000);
    await until('it was told of', () => rig.told.length > 0);
    assert.deepEqual(rig.told.length, 1);
    assert.match(rig.told[0] ?? '', /the guest agent of qmp\/one/);
  });

  it('that sends garbage, floods or lies makes nothing known, and the other guest is read as ever', async (test) => {
    const agent = new FakeAgent();
    const rig = await withAgent(test, agent);
    await untilInStep(agent);
    const lies = [
      'garbage\n',
      'x'.repeat(2 * MIB),
      '{"return": {"count": -1, "buf-b64": "*", "eof": 9}}\n',
      '{"return": -5}\n',
    ];
    for (const lie of lies) {
      agent.tamper = () => [lie];
      const looking = rig.look(['qmp/one', 'qmp/two']);
      const [first, second] = await Promise.all([looking, rig.reading('qmp/two')]);
      assert.equal(first.filter(({ kind }) => kind === 'reading').length, 2);
      assert.ok(second.current.known);
      await rig.pass(1);
    }
    const { committed, current } = await rig.reading('qmp/one');
    assert.ok(!committed.known && current.known);
  });
});
