/** Protects a guest's way to tell its host: into the one node that the host looks at, again after a loss, and gone at the end. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { openReportNode } from '../../src/cli/daemon/report-node.js';
import type { ReportWay } from '../../src/cli/daemon/report-way.js';
import { VirtualClock } from '../../src/sim/index.js';
import { FakeXenstored } from '../xenstore/support/fake-xenstored.js';
import { xenstoreError } from '../xenstore/support/frames.js';
import { connectTo, until } from '../xenstore/support/opened.js';

const HOME = '/local/domain/1';
const NODE = `${HOME}/data/selfballoon/report`;
const NEVER = new AbortController().signal;

interface Opened {
  readonly fake: FakeXenstored;
  readonly node: ReportWay;
  readonly text: () => string | null;
}

/** As the toolstack leaves a guest's folder: its own below `data` only. */
async function open(test: TestContext): Promise<Opened> {
  const fake = await FakeXenstored.start(test);
  const { store } = fake.world;
  store.write(`${HOME}/data`, Buffer.alloc(0), 0);
  store.setPermissions(HOME, ['n0', 'r1'], 0);
  store.setPermissions(`${HOME}/data`, ['n1'], 0);
  fake.domid = 1;
  const clock = new VirtualClock();
  const node = await openReportNode(clock, () => connectTo(test, fake, { clock }));
  test.after(() => node.close());
  return { fake, node, text: () => store.nodes.get(NODE)?.value.toString() ?? null };
}

describe('the node of a guest’s reports', () => {
  it('is below the guest’s own data, where a guest may write', async (test) => {
    const { node, text, fake } = await open(test);
    await node.publish('{"v":1}', NEVER);
    assert.equal(text(), '{"v":1}');
    assert.deepEqual(fake.world.store.nodes.get(NODE)?.permissions, ['n1']);
    assert.match(node.description, /data\/selfballoon\/report/);
  });

  it('is removed with its folder, and what was never there may be removed too', async (test) => {
    const { node, text, fake } = await open(test);
    await node.leave();
    await node.publish('x', NEVER);
    await node.leave();
    assert.equal(text(), null);
    assert.equal(fake.world.store.nodes.has(`${HOME}/data/selfballoon`), false);
    assert.equal(fake.world.store.nodes.has(`${HOME}/data`), true);
  });

  it('is written over a new connection after one that was lost', async (test) => {
    const { node, text, fake } = await open(test);
    await node.publish('1', NEVER);
    fake.isHolding = true;
    const lost = assert.rejects(node.publish('2', NEVER), xenstoreError('EUNAVAILABLE'));
    await until('it is asked', () => fake.held.length > 0);
    fake.last.socket.destroy();
    await lost;
    fake.isHolding = false;
    await node.publish('3', NEVER);
    assert.equal(text(), '3');
    assert.equal(fake.connections.length, 2);
  });

  it('that may not be written says so, and the connection stays', async (test) => {
    const { node, fake } = await open(test);
    fake.world.store.setPermissions(`${HOME}/data`, ['n0', 'r1'], 0);
    await assert.rejects(node.publish('x', NEVER), xenstoreError('EACCES', /permissions/));
    fake.world.store.setPermissions(`${HOME}/data`, ['n1'], 0);
    await node.publish('x', NEVER);
    assert.equal(fake.connections.length, 1);
  });

  it('is given up with its signal, and removing never fails', async (test) => {
    const { node, fake } = await open(test);
    await assert.rejects(node.publish('x', AbortSignal.abort()), xenstoreError('ETIMEDOUT'));
    fake.last.socket.destroy();
    await node.leave();
    await node.close();
    await node.leave();
    await node.close();
  });

  it('is not to be had outside a guest', async () => {
    await assert.rejects(openReportNode(new VirtualClock()), xenstoreError('EUNAVAILABLE', /Xen domains only/));
  });
});
