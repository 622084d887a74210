/** A xenstored that lies, stops or talks nonsense: every call ends, with a reason, and nothing grows. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { encodeFrame } from '../../src/xenstore/codec.js';
import { XenstoreError } from '../../src/xenstore/errors.js';
import { useSeed } from '../support/seed.js';
import type { Tamper } from './support/fake-xenstored.js';
import { xenstoreError } from './support/frames.js';
import { opened, until } from './support/opened.js';

useSeed();

const oversized = (): Buffer => {
  const bytes = encodeFrame({ operation: 'READ', requestId: 1, transactionId: 0, payload: Buffer.alloc(4096) });
  bytes.writeUInt32LE(4097, 12);
  return bytes;
};

/** Each breaks the protocol in one way. */
const BREACHES: Readonly<Record<string, Tamper>> = {
  'another id': (answer) => [encodeFrame({ ...answer, requestId: answer.requestId + 100 })],
  'the id 0': (answer) => [encodeFrame({ ...answer, requestId: 0 })],
  'another operation': (answer) => [encodeFrame({ ...answer, operation: 'MKDIR' })],
  'two answers': (answer) => [encodeFrame(answer), encodeFrame(answer)],
  'a message that is too long': () => [oversized()],
  'an unknown type': (answer) => {
    const bytes = encodeFrame(answer);
    bytes.writeUInt32LE(20, 0);
    return [bytes];
  },
  'an event without a token': (answer) => [encodeFrame({ ...answer, operation: 'WATCH_EVENT' })],
  'text of another protocol': () => [Buffer.from('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')],
};

describe('a breach of the protocol', () => {
  for (const [breach, tamper] of Object.entries(BREACHES)) {
    it(`ends the connection and all calls: ${breach}`, async (context) => {
      const { fake, store } = await opened(context);
      await store.write('/a', 'x');
      fake.isHolding = true;
      const calls = [store.read('/a'), store.read('/a'), store.list('/')];
      await until('all are asked', () => fake.held.length === 3);
      fake.tamper = tamper;
      // With two answers to one request, the second is to nobody.
      fake.release([0]);
      const outcomes = await Promise.allSettled(calls);
      const end = await store.closed;
      assert.ok(end.kind === 'lost' && end.error.xenstoreCode === 'EPROTO', JSON.stringify(end));
      for (const outcome of outcomes.slice(breach === 'two answers' ? 1 : 0)) {
        assert.ok(outcome.status === 'rejected' && xenstoreError('EUNAVAILABLE', /is lost/)(outcome.reason));
      }
      await assert.rejects(store.read('/a'), xenstoreError('EUNAVAILABLE'));
      await until('the socket is closed', () => fake.last.socket.destroyed || fake.last.socket.readableEnded);
    });
  }
});

describe('an answer that says nothing sensible', () => {
  const payloads = ['', 'OK', 'nonsense\0', '\0', 'OK\0OK\0', '\xff\xff', 'a/b\0'];

  it('is an error of that call alone', async (context) => {
    const { fake, store } = await opened(context);
    for (const payload of payloads) {
      fake.tamper = (answer) => fake.honestly({ ...answer, payload: Buffer.from(payload, 'latin1') });
      await assert.rejects(store.write('/a', 'x'), xenstoreError('EPROTO', /WRITE of "\/a"/));
      await assert.rejects(store.isDomainIntroduced(7), xenstoreError('EPROTO', /domain 7/));
      await assert.rejects(
        store.transaction(() => assert.fail('it ran')),
        xenstoreError('EPROTO'),
      );
      fake.tamper = (answer) => fake.honestly(answer);
      assert.deepEqual(await store.list('/'), ['a']);
    }
  });

  it("never becomes a domain's home", async (context) => {
    const { fake, store } = await opened(context);
    for (const path of ['', '/a//b', '/a/', '/\u001b[2J', '../..']) {
      fake.tamper = (answer) => fake.honestly({ ...answer, payload: Buffer.from(`${path}\0`) });
      await assert.rejects(store.getDomainPath(7), xenstoreError('EPROTO'));
    }
  });
});

describe('a connection that ends', () => {
  it('rejects all that waits, sent or not, and tells which may have happened', async (context) => {
    const { fake, store } = await opened(context, { outstandingMax: 2 });
    fake.isHolding = true;
    const calls = [1, 2, 3, 4].map((index) => store.write(`/${index}`, ''));
    const ends = calls.map((call) =>
      call.then(
        () => null,
        (error: unknown) => error,
      ),
    );
    await until('some are asked', () => fake.held.length === 2);
    fake.last.socket.destroy();
    const errors = await Promise.all(ends);
    for (const error of errors) assert.ok(xenstoreError('EUNAVAILABLE', /is lost/)(error));
    assert.deepEqual(
      errors.map((error) => error instanceof XenstoreError && error.mayHaveHappened),
      [true, true, false, false],
    );
    const end = await store.closed;
    assert.ok(end.kind === 'lost' && end.error.xenstoreCode === 'EUNAVAILABLE');
  });

  it('in the midst of a message is a connection that ends', async (context) => {
    const { fake, store } = await opened(context);
    await store.write('/a', 'x');
    fake.tamper = (answer) => [encodeFrame(answer).subarray(0, 17)];
    const asked = store.list('/');
    await until('it is answered in part', () => fake.requests.length === 2);
    fake.last.socket.end();
    await assert.rejects(asked, xenstoreError('EUNAVAILABLE', /ended the connection/));
  });

  it('in a transaction ends the transaction, once', async (context) => {
    const { fake, store } = await opened(context);
    const broken = store.transaction(async (inside) => {
      await inside.write('/a', '');
      fake.last.socket.destroy();
      await inside.write('/b', '');
    });
    await assert.rejects(broken, xenstoreError('EUNAVAILABLE'));
    assert.deepEqual(fake.world.store.node('/', 0).children, []);
  });

  it('by our own hand says so', async (context) => {
    const { fake, store } = await opened(context);
    fake.isHolding = true;
    const asked = store.read('/');
    await until('it is asked', () => fake.held.length === 1);
    const rejected = assert.rejects(asked, xenstoreError('EUNAVAILABLE', /closed by this program/));
    await store.close();
    await rejected;
    await store.close();
    assert.deepEqual(await store.closed, { kind: 'closed' });
    await assert.rejects(store.write('/a', ''), xenstoreError('EUNAVAILABLE', /closed by this program/));
  });
});

describe('a stream in pieces', () => {
  it('of one byte each is understood', async (context) => {
    const { fake, store } = await opened(context);
    await store.write('/a/b', 'value');
    fake.tamper = (answer) => Array.from(encodeFrame(answer), (byte) => Buffer.from([byte]));
    assert.equal(await store.readText('/a/b'), 'value');
    assert.deepEqual(await store.list('/a'), ['b']);
  });
});

describe('whatever comes', () => {
  it('leaves no call without an end, and ends the connection for a reason', async (context) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 100 }), { minLength: 1, maxLength: 5 }),
        async (noise) => {
          const { fake, store } = await opened(context);
          fake.tamper = () => noise.map((part) => Buffer.from(part));
          const asked = Promise.allSettled([store.read('/'), store.write('/a', 'x'), store.list('/')]);
          await until('all are asked', () => fake.requests.length === 3);
          fake.last.socket.end();
          for (const outcome of await asked) {
            if (outcome.status === 'rejected') assert.ok(outcome.reason instanceof XenstoreError);
          }
          const end = await store.closed;
          assert.ok(end.kind === 'lost');
        },
      ),
      { numRuns: 50 },
    );
  });

  it('as endless events for nobody does not disturb, and is not kept', async (context) => {
    const { fake, store } = await opened(context);
    const event = encodeFrame({
      operation: 'WATCH_EVENT',
      requestId: 0,
      transactionId: 0,
      payload: Buffer.from(`/${'a'.repeat(3000)}\0nobody\0`),
    });
    await store.write('/a', 'x');
    for (let index = 0; index < 2000; index += 1) fake.send(event);
    assert.equal(await store.readText('/a'), 'x');
  });
});
