import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { connectUnixSocket, UNREAD_BYTES_MAX } from '../../src/qmp/unix-socket.js';
import { qmpError } from './support/failures.js';
import { FakeQemu } from './support/fake-qemu.js';
import { patience, until } from './support/opened.js';

const fail = (): never => {
  throw new Error('this should not have been called');
};

/** Begins something without the rights of root, to whom everything is open. */
function asNobody<T>(begin: () => T): T {
  if (process.geteuid?.() !== 0) return begin();
  process.seteuid?.(65_534);
  try {
    return begin();
  } finally {
    process.seteuid?.(0);
  }
}

/** Somebody who says nothing but a letter, again and again, and what was heard of it. */
async function listenTo(context: TestContext, letter: string) {
  const fake = await FakeQemu.start(context);
  fake.greeting = [];
  const transport = await connectUnixSocket(fake.path, patience());
  let text = '';
  transport.start({ onBytes: (chunk) => (text += Buffer.from(chunk).toString()), onLost: fail });
  await until('it is connected', () => fake.connections.length === 1);
  return { fake, letter, transport, heard: () => text };
}

describe('a connection over the socket', () => {
  it('is refused with words where nobody listens', async (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'selfballoon-qmp-'));
    context.after(() => {
      rmSync(folder, { recursive: true });
    });
    const file = join(folder, 'file');
    writeFileSync(file, '');
    for (const path of [join(folder, 'missing'), file]) {
      await assert.rejects(connectUnixSocket(path, patience()), qmpError('EUNAVAILABLE', /virtual machine run/));
    }
  });

  it('is refused with the reason where the path is too long for a socket', async () => {
    const ofBytes = (count: number): string => `/nowhere/${'é'.repeat(40)}${'x'.repeat(count - 89)}`;
    const tooLong = qmpError('EUNAVAILABLE', /at most 107 bytes, and this has 108/);
    await assert.rejects(connectUnixSocket(ofBytes(108), patience()), tooLong);
    await assert.rejects(connectUnixSocket(ofBytes(107), patience()), qmpError('EUNAVAILABLE', /virtual machine run/));
  });

  it('is refused to whom the socket does not belong', async (context) => {
    const fake = await FakeQemu.start(context);
    chmodSync(fake.path, 0);
    const connecting = asNobody(() => connectUnixSocket(fake.path, patience()));
    await assert.rejects(connecting, qmpError('EACCES', /Only root, or the user that QEMU runs as/));
  });

  it('is not begun when it is given up on already, and leaves nothing open', async (context) => {
    const fake = await FakeQemu.start(context);
    await assert.rejects(connectUnixSocket(fake.path, AbortSignal.abort()), qmpError('ETIMEDOUT', /no connection/));
    await until('nobody is connected', () => fake.connections.every(({ socket }) => socket.readableEnded));
  });

  it('loses nothing that came before it is started', async (context) => {
    const fake = await FakeQemu.start(context);
    const transport = await connectUnixSocket(fake.path, patience());
    context.after(() => transport.close());
    await until('it is greeted', () => fake.connections.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const chunks: Uint8Array[] = [];
    transport.start({ onBytes: (chunk) => chunks.push(Uint8Array.from(chunk)), onLost: fail });
    await until('it came', () => Buffer.concat(chunks).toString() === fake.greeting.join(''));
  });

  it('gets what it is sent, piece by piece, while others get theirs', async (context) => {
    const talks = await Promise.all(['a', 'b', 'c'].map((letter) => listenTo(context, letter)));
    const pieces = 50;
    for (let piece = 0; piece < pieces; piece += 1) {
      for (const { fake, letter } of talks) fake.send(letter.repeat(piece * 100));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const length = 100 * ((pieces * (pieces - 1)) / 2);
    await until('all has come', () => talks.every(({ heard }) => heard().length === length));
    for (const { letter, heard, transport } of talks) {
      assert.equal(heard(), letter.repeat(length));
      await transport.close();
    }
  });

  it('that is closed is not lost, and may be closed again', async (context) => {
    const fake = await FakeQemu.start(context);
    const transport = await connectUnixSocket(fake.path, patience());
    transport.start({ onBytes: () => undefined, onLost: fail });
    await transport.close();
    await transport.close();
    transport.send(Buffer.from('{}\n'));
  });

  it('that the other end closes is lost, and says so once', async (context) => {
    const fake = await FakeQemu.start(context);
    const transport = await connectUnixSocket(fake.path, patience());
    const reasons: unknown[] = [];
    transport.start({ onBytes: () => undefined, onLost: (why) => reasons.push(why) });
    await until('it is connected', () => fake.connections.length === 1);
    fake.last.socket.destroy();
    await until('it is lost', () => reasons.length > 0);
    await transport.close();
    assert.equal(reasons.length, 1);
    assert.ok(qmpError('EUNAVAILABLE', /ended the connection/)(reasons[0]));
  });

  it('that was lost before it is started says so too', async (context) => {
    const fake = await FakeQemu.start(context);
    const transport = await connectUnixSocket(fake.path, patience());
    await until('it is connected', () => fake.connections.length === 1);
    fake.last.socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const reasons: unknown[] = [];
    transport.start({ onBytes: () => undefined, onLost: (why) => reasons.push(why) });
    await until('it is lost', () => reasons.length === 1);
  });
});

describe('a peer that reads nothing', () => {
  it('makes us keep a fixed number of bytes, and takes lines again once it has read', async (context) => {
    const fake = await FakeQemu.start(context);
    const transport = await connectUnixSocket(fake.path, patience());
    context.after(() => transport.close());
    transport.start({ onBytes: () => undefined, onLost: fail });
    await until('it is connected', () => fake.connections.length === 1);
    fake.last.socket.pause();
    const one = Buffer.from(
      `${JSON.stringify({ execute: 'query-name', id: 1, arguments: { a: 'x'.repeat(9_000) } })}\n`,
    );
    let taken = 0;
    // The kernel takes some into the socket; how much is its own affair, and by far not this much.
    while (transport.send(one)) {
      taken += one.length;
      assert.ok(taken < 64 * UNREAD_BYTES_MAX);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(transport.send(one), false);
    fake.last.socket.resume();
    await until('all was read', () => fake.requests.length === taken / one.length);
    assert.equal(transport.send(one), true);
  });
});
