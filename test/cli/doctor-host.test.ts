/** Protects an administrator from a wrong advice about xenstored: one that hangs must not be started again. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { checkHost } from '../../src/cli/doctor/host.js';
import type { Finding } from '../../src/cli/doctor/finding.js';
import { loadText } from '../config/temporary-file.js';
import { FakeXenstored } from '../xenstore/support/fake-xenstored.js';

/** What the doctor says of xenstored at this socket. */
async function sayOf(test: TestContext, socket: string): Promise<Finding> {
  const { config } = await loadText(test, `[xen_host]\nsocket = ${JSON.stringify(socket)}\n`);
  const found = await checkHost({ kind: 'initial-domain', seen: 'a test' }, config);
  const said = found.find(({ what }) => what.startsWith('xenstored'));
  assert.ok(said !== undefined, JSON.stringify(found));
  return said;
}

describe('the doctor on a Xen host', () => {
  it('finds an xenstored that answers', async (test) => {
    const fake = await FakeXenstored.start(test);
    fake.world.store.write('/local/domain/0/name', Buffer.from('Domain-0'), 0);
    assert.equal((await sayOf(test, fake.path)).level, 'ok');
  });

  it('asks whether it runs, and whether it is the right socket, where there is none', async (test) => {
    const { level, advice } = await sayOf(test, '/nowhere/xenstored');
    assert.equal(level, 'fail');
    assert.match(advice ?? '', /xen_host\.socket.*running/);
  });

  it('has nobody start one that hangs', async (test) => {
    const fake = await FakeXenstored.start(test);
    fake.tamper = () => [];
    const { level, advice } = await sayOf(test, fake.path);
    assert.equal(level, 'fail');
    assert.doesNotMatch(advice ?? '', /[Ss]tart it/);
    assert.match(advice ?? '', /answers others/);
  });
});
