import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { connectUnixSocket } from '../../src/xenstore/unix-socket.js';
import { FakeXenstored } from './support/fake-xenstored.js';
import { xenstoreError } from './support/frames.js';
import { until } from './support/opened.js';

const never = new AbortController().signal;
const read = Buffer.from('02000000010000000000000002000000' + '2f00', 'hex');

const fail = (): never => {
  throw new Error('this should not have been called');
};

describe('a connection over the socket', () => {
  it('is refused with words where nobody listens', async (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'selfballoon-xenstore-'));
    context.after(() => {
      rmSync(folder, { recursive: true });
    });
    const file = join(folder, 'file');
    writeFileSync(file, '');
    for (const path of [join(folder, 'missing'), file]) {
      await assert.rejects(connectUnixSocket(path, never), xenstoreError('EUNAVAILABLE', /control domain\?/));
    }
  });

  it('is not begun when it is given up on already, and leaves nothing open', async (context) => {
    const fake = await FakeXenstored.start(context);
    await assert.rejects(
      connectUnixSocket(fake.path, AbortSignal.abort()),
      xenstoreError('ETIMEDOUT', /no connection to xenstored/),
    );
    await until('nobody is connected', () => fake.connections.every(({ socket }) => socket.destroyed));
  });

  it('carries messages there and bytes back, and nothing is lost before it is started', async (context) => {
    const fake = await FakeXenstored.start(context);
    const transport = await connectUnixSocket(fake.path, never);
    context.after(() => transport.close());
    transport.send(read, fail);
    await until('it is answered', () => fake.requests.length === 1);
    const chunks: Uint8Array[] = [];
    transport.start({ onBytes: (chunk) => chunks.push(chunk), onLost: fail });
    await until('it came', () => Buffer.concat(chunks).length === 16);
  });

  it('that is closed is not lost, and may be closed again', async (context) => {
    const fake = await FakeXenstored.start(context);
    const transport = await connectUnixSocket(fake.path, never);
    transport.start({ onBytes: fail, onLost: fail });
    await transport.close();
    await transport.close();
    transport.send(read, fail);
  });

  it('that the other end closes is lost, and says so once', async (context) => {
    const fake = await FakeXenstored.start(context);
    const transport = await connectUnixSocket(fake.path, never);
    const reasons: unknown[] = [];
    transport.start({ onBytes: fail, onLost: (why) => reasons.push(why) });
    await until('it is connected', () => fake.connections.length === 1);
    fake.last.socket.destroy();
    await until('it is lost', () => reasons.length > 0);
    await transport.close();
    assert.equal(reasons.length, 1);
    assert.ok(xenstoreError('EUNAVAILABLE', /ended the connection/)(reasons[0]));
  });

  it('that was lost before it is started says so too', async (context) => {
    const fake = await FakeXenstored.start(context);
    const transport = await connectUnixSocket(fake.path, never);
    await until('it is connected', () => fake.connections.length === 1);
    fake.last.socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const reasons: unknown[] = [];
    transport.start({ onBytes: () => undefined, onLost: (why) => reasons.push(why) });
    await until('it is lost', () => reasons.length === 1);
  });
});
