import assert from 'node:assert/strict';
import { connect, createServer, Socket } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { peerOf } from '../../src/posix/peer.js';
import { decodeStatus } from '../../src/server/status.js';
import { SelfballoonError } from '../../src/errors.js';
import { temporaryFolder } from '../server/fakes.js';

describe('the peer of a connection', () => {
  it('is the process that made it, as the kernel says', async (context) => {
    const path = join(temporaryFolder(context), 's.sock');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    context.after(() => server.close());
    const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
    const client = connect(path);
    const socket = await accepted;
    const expected = { kind: 'known', uid: process.geteuid?.(), gid: process.getegid?.(), pid: process.pid };
    assert.deepEqual(peerOf(socket), expected);
    client.destroy();
    socket.destroy();
    assert.deepEqual(peerOf(socket), { kind: 'unknown', why: 'the connection is closed' });
  });

  it('of something that is no connection is unknown', async (context) => {
    assert.equal(peerOf(new Socket()).kind, 'unknown');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    context.after(() => server.close());
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    const overTcp = connect(address.port, '127.0.0.1');
    await new Promise((resolve) => overTcp.once('connect', resolve));
    assert.equal(peerOf(overTcp).kind, 'unknown');
    overTcp.destroy();
  });
});

describe('the body of a status', () => {
  it('that another program sent is an error that says so', () => {
    for (const body of ['', '{}', 'null', '[]', '{"version":1}', '<html>']) {
      assert.throws(
        () => decodeStatus(body),
        (error) => error instanceof SelfballoonError && error.code === 'EIO',
      );
    }
  });
});
