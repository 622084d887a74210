/**
 * Protects a guest from being driven by another's numbers: a QEMU that is given the path of another's socket takes it over without a word.
 * In these tests the agents' sockets are this process's, and the monitors belong to whom the test says.
 */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { FakeGuest } from '../../agent-port/support/fake-guest.js';
import { FakeAgent } from '../../guest-agent/support/fake-agent.js';
import type { FakeQemu } from '../../qmp/support/fake-qemu.js';
import { until } from '../../qmp/support/opened.js';
import { reportText } from '../../support/report-text.js';
import { hostFolder, setProcess } from './support/host-folder.js';
import { Rig } from './support/rig.js';

const AGENT = 'org.qemu.guest_agent.0';
const OWN_AGENT = 'org.selfballoon.0';
/** The process at the agent's socket. */
const HERE = process.pid;
/** Above what Linux gives to any process. */
const THERE = 5_000_001;
const ELSEWHERE = 5_000_002;

/** What a process is called, by its number. */
type Processes = Readonly<Record<number, string>>;
const QEMU = 'qemu-system-x86';
const PROXY = 'socat';

class World {
  readonly root: string;
  readonly rig: Rig;
  path = '';
  readonly #test: TestContext;

  constructor(test: TestContext, processes: Processes) {
    this.#test = test;
    this.root = hostFolder(test, 60);
    for (const [pid, name] of Object.entries(processes)) setProcess(this.root, Number(pid), { name });
    this.rig = new Rig({ root: this.root });
    test.after(() => this.rig.host.close());
  }

  /** A machine whose monitor is that process's, and whose port is at the socket. */
  async add(name: string, pid: number, port = AGENT): Promise<FakeQemu> {
    const qemu = await this.rig.addQemu(this.#test, name);
    this.rig.pids.set(qemu.path, pid);
    qemu.machine.ports.push({ name: port, filename: `disconnected:unix:${this.path},server=on` });
    return qemu;
  }

  /** Whether what the agent says is known of that guest. */
  async isKnown(name: string): Promise<boolean> {
    return (await this.rig.reading(`qmp/${name}`)).committed.known;
  }

  async untilKnown(name: string): Promise<void> {
    for (let turn = 0; turn < 300; turn += 1) {
      if (await this.isKnown(name)) return;
      await this.rig.pass(100);
    }
    assert.fail(`${name} was never known by its agent: ${this.rig.told.join('; ')}`);
  }

  /** Lets a minute pass in which all that is tried again is tried again, and says whether the agent was ever believed for `name`. */
  async isEverKnown(name: string): Promise<boolean> {
    for (let second = 0; second < 60; second += 1) {
      if (await this.isKnown(name)) return true;
      await this.rig.pass(1_000);
    }
    return false;
  }

  get refusals(): readonly string[] {
    return this.rig.told.filter((text) => /is not listened to/.test(text));
  }
}

/** A host with such processes; the agent is `agent`. */
async function withAgent(test: TestContext, processes: Processes, agent = new FakeAgent()): Promise<World> {
  const world = new World(test, processes);
  world.path = await agent.listen(test);
  return world;
}

async function watch({ rig }: World): Promise<void> {
  rig.watch();
  await rig.untilCame(rig.qemus.length);
}

describe('an agent whose socket another machine’s QEMU has taken over', () => {
  for (const order of [
    ['a', 'b'],
    ['b', 'a'],
  ]) {
    it(`says nothing of this machine, and is heard for its own: ${order.join(' before ')}`, async (test) => {
      const agent = new FakeAgent();
      const world = await withAgent(test, { [HERE]: QEMU, [THERE]: QEMU }, agent);
      for (const name of order) await world.add(name, name === 'b' ? HERE : THERE);
      await watch(world);
      await world.untilKnown('b');
      assert.equal(await world.isEverKnown('a'), false);
      assert.equal(await world.isKnown('b'), true);
      assert.equal(world.rig.told.length, 1);
      const [told = ''] = world.rig.told;
      const serves = `process ${HERE}, which serves "${world.path}", is `;
      assert.ok(told.startsWith(`guest qmp/a: its guest agent is not listened to: ${serves}`), told);
      // Whether the other machine was met before is chance.
      assert.match(
        told,
        /is (?:the QEMU of another machine: [^;]*|behind the monitor of qmp\/b); give the port of each /,
      );
      assert.ok(agent.connections.length > 5, 'it is tried again');
      const begun = agent.asked.filter((command) => command === 'guest-sync-delimited').length;
      assert.equal(begun, 1, 'who is refused is asked nothing');
    });
  }

  it('is refused where nobody knows that machine, too', async (test) => {
    const world = await withAgent(test, { [HERE]: QEMU, [THERE]: QEMU });
    await world.add('a', THERE);
    await watch(world);
    assert.equal(await world.isEverKnown('a'), false);
    // That it is met later is no news.
    await world.add('b', HERE);
    await world.rig.pass(2_001);
    assert.equal(await world.isEverKnown('a'), false);
    assert.equal(world.rig.told.length, 1);
    assert.match(world.rig.told.join(), /is the QEMU of another machine: this one's is process 5000001; give/);
  });

  it('is told of where nobody listened there before', async (test) => {
    const world = await withAgent(test, { [HERE]: QEMU, [THERE]: QEMU });
    const { path } = world;
    world.path = `${path}-later`;
    await world.add('a', THERE);
    await watch(world);
    await until('it is told that nobody listens', () => world.rig.told.length === 1);
    const late = new FakeGuest(test, world.path);
    await late.start();
    assert.equal(await world.isEverKnown('a'), false);
    assert.equal(world.refusals.length, 1);
  });

  it('is refused through our own agent’s port as well, and what it says there is no alarm', async (test) => {
    const world = new World(test, { [HERE]: QEMU, [THERE]: QEMU });
    const guest = new FakeGuest(test);
    await guest.start();
    world.path = guest.path;
    await world.add('a', THERE, OWN_AGENT);
    await watch(world);
    await until('it is told', () => world.rig.told.length === 1);
    for (const client of guest.clients) client.write(`${reportText(1, { alarms: 1, alarm: 'low' })}\n`);
    assert.equal(await world.isEverKnown('a'), false);
    assert.match(world.rig.told.join(), /^guest qmp\/a: its own agent is not listened to: [^\n]*$/);
    assert.ok(world.rig.notices.every(({ kind }) => kind === 'guest-came'));
  });
});

describe('an agent that is reached through somebody else', () => {
  it('is believed where a program passes its words on', async (test) => {
    const world = await withAgent(test, { [HERE]: PROXY, [THERE]: QEMU });
    await world.add('a', THERE);
    await watch(world);
    await world.untilKnown('a');
    assert.deepEqual(world.rig.told, []);
  });

  it('is believed where a program passes the monitor’s words on', async (test) => {
    const world = await withAgent(test, { [HERE]: QEMU, [THERE]: PROXY });
    await world.add('a', THERE);
    await watch(world);
    await world.untilKnown('a');
    assert.deepEqual(world.rig.told, []);
  });

  it('is believed where its QEMU has any other name, and what else the process serves is its own', async (test) => {
    const world = await withAgent(test, { [HERE]: 'web' });
    await world.add('a', HERE);
    await watch(world);
    await world.untilKnown('a');
    assert.deepEqual(world.rig.told, []);
  });

  it('is forgotten as soon as it is known to be another machine’s', async (test) => {
    const world = await withAgent(test, { [HERE]: QEMU, [THERE]: PROXY });
    await world.add('a', THERE);
    await watch(world);
    await world.untilKnown('a');
    await world.add('b', HERE);
    await world.rig.pass(2_001);
    await world.rig.untilCame(2);
    assert.equal(await world.isKnown('a'), false);
    await world.untilKnown('b');
    assert.equal(await world.isEverKnown('a'), false);
    assert.equal(world.rig.told.length, 1);
    assert.match(world.refusals.join(), /its guest agent .* is behind the monitor of qmp\/b;/);
  });

  it('is nobody’s where one process passes on the words of two machines that claim it', async (test) => {
    const world = await withAgent(test, { [HERE]: PROXY });
    for (const name of ['a', 'b']) await world.add(name, HERE);
    await watch(world);
    await world.rig.look(['qmp/a', 'qmp/b']);
    for (const name of ['a', 'b']) assert.equal(await world.isEverKnown(name), false);
    assert.equal(world.refusals.length, 2);
  });

  it('is nobody’s while two machines claim it and nobody can tell', async (test) => {
    const world = await withAgent(test, { [HERE]: PROXY, [THERE]: PROXY, [ELSEWHERE]: PROXY });
    await world.add('a', THERE);
    const b = await world.add('b', ELSEWHERE);
    await watch(world);
    // One of them may have been believed before the other was met.
    await world.rig.look(['qmp/a', 'qmp/b']);
    for (const name of ['a', 'b']) assert.equal(await world.isEverKnown(name), false);
    assert.equal(world.refusals.length, 2);
    assert.match(world.refusals.join(), /qmp\/b has a port at "[^"]*" too, and whose process \d+, which serves it, is/);
    // It is the other's where one of them is gone.
    world.rig.sockets.pop();
    await b.end();
    await world.rig.untilNotice('b left', ({ kind }) => kind === 'guest-left');
    await world.untilKnown('a');
    assert.match(world.rig.told.at(-1) ?? '', /the guest agent of qmp\/a is connected to again/);
  });
});
