/** Many requests on one connection: each gets its own answer, none gets another's, and there are limits. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { VirtualClock } from '../../src/sim/index.js';
import { millis } from '../../src/units.js';
import { encodeFrame, type Frame } from '../../src/xenstore/codec.js';
import { Exchange, type ExchangeOptions, type Request } from '../../src/xenstore/exchange.js';
import { FrameDecoder } from '../../src/xenstore/frame-decoder.js';
import type { Transport } from '../../src/xenstore/transport.js';
import { useSeed } from '../support/seed.js';
import { xenstoreError } from './support/frames.js';
import { opened, until } from './support/opened.js';

useSeed();

/** A transport that only notes what is sent. */
class NotedTransport implements Transport {
  readonly description = 'a list';
  readonly payloadBytesMax = 4096;
  readonly sent: Frame[] = [];
  readonly refusals: ((why: unknown) => void)[] = [];

  constructor(readonly answersWatchesById = true) {}

  start(): void {
    throw new Error('an exchange does not start its transport');
  }

  send(message: Buffer, refuse: (why: unknown) => void): void {
    new FrameDecoder().push(message, (frame) => this.sent.push(frame));
    this.refusals.push(refuse);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function exchangeOver(transport: Transport, options: Partial<ExchangeOptions> = {}): Exchange {
  return new Exchange({
    transport,
    outstandingMax: 4,
    waitingMax: 100,
    clock: new VirtualClock(),
    limit: millis(1_000),
    ...options,
  });
}

const reading = (path: string): Request => ({ operation: 'READ', subject: path, payload: Buffer.from(`${path}\0`) });
const watching = (path: string): Request => ({
  operation: 'WATCH',
  subject: path,
  payload: Buffer.from(`${path}\0t\0`),
});

/** Answers with the request's own payload. */
const echo = (frame: Frame | undefined): Frame => {
  assert.ok(frame !== undefined);
  return frame;
};

describe('answers', () => {
  it('reach their own requests in whatever order they come', async () => {
    const anyOrder = fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6, 7], { minLength: 8 });
    await fc.assert(
      fc.asyncProperty(anyOrder, async (order) => {
        const transport = new NotedTransport();
        const exchange = exchangeOver(transport, { outstandingMax: 8 });
        const asked = order.map((index) => exchange.ask(reading(`/${index}`)));
        for (const index of order) exchange.take(echo(transport.sent[index]));
        const answers = await Promise.all(asked);
        assert.deepEqual(
          answers.map((answer) => answer.toString()),
          order.map((index) => `/${index}\0`),
        );
      }),
    );
  });

  it('reach them over a real socket too', async (context) => {
    const { fake, store } = await opened(context);
    for (let index = 0; index < 8; index += 1) await store.write(`/${index}`, `value ${index}`);
    fake.isHolding = true;
    const asked = Array.from({ length: 8 }, (_, index) => store.readText(`/${index}`));
    await until('all are asked', () => fake.held.length === 8);
    fake.release([3, 7, 0, 1, 6, 5, 4, 2]);
    assert.deepEqual(
      await Promise.all(asked),
      Array.from({ length: 8 }, (_, index) => `value ${index}`),
    );
  });

  it('to nobody are a breach of the protocol', () => {
    const transport = new NotedTransport();
    const exchange = exchangeOver(transport);
    const stray = { operation: 'READ', requestId: 1, transactionId: 0, payload: Buffer.alloc(0) } as const;
    assert.throws(
      () => {
        exchange.take(stray);
      },
      xenstoreError('EPROTO', /READ, id 1.*not made/),
    );
  });

  it('a second time are to nobody', async () => {
    const transport = new NotedTransport();
    const exchange = exchangeOver(transport);
    const asked = exchange.ask(reading('/a'));
    const answer = echo(transport.sent[0]);
    exchange.take(answer);
    await asked;
    assert.throws(() => {
      exchange.take(answer);
    }, xenstoreError('EPROTO'));
  });

  it('of another kind than the request are a breach of the protocol', () => {
    const transport = new NotedTransport();
    const exchange = exchangeOver(transport);
    void exchange.ask(reading('/a'));
    assert.throws(
      () => {
        exchange.take({ ...echo(transport.sent[0]), operation: 'WRITE' });
      },
      xenstoreError('EPROTO', /READ of "\/a" was answered with WRITE/),
    );
    exchange.take(echo(transport.sent[0]));
  });

  it('that are errors need no NUL and no more than their first word', async () => {
    const transport = new NotedTransport();
    const exchange = exchangeOver(transport);
    for (const [payload, code] of [
      ['ENOENT\0', 'ENOENT'],
      ['ENOENT', 'ENOENT'],
      ['EACCES\0ENOENT\0', 'EACCES'],
      ['', 'EUNKNOWN'],
    ] as const) {
      const asked = exchange.ask(reading('/a'));
      exchange.take({ ...echo(transport.sent.at(-1)), operation: 'ERROR', payload: Buffer.from(payload) });
      await assert.rejects(asked, xenstoreError(code));
    }
  });
});

describe('ids', () => {
  it('begin again after the last, leave out those still in use, and are never 0', async () => {
    const transport = new NotedTransport();
    const exchange = exchangeOver(transport, { outstandingMax: 2, idMax: 3 });
    const slow = exchange.ask(reading('/slow'));
    for (let index = 0; index < 5; index += 1) {
      const quick = exchange.ask(reading(`/${index}`));
      exchange.take(echo(transport.sent.at(-1)));
      assert.equal((await quick).toString(), `/${index}\0`);
    }
    assert.deepEqual(
      transport.sent.map((frame) => frame.requestId),
      [1, 2, 3, 2, 3, 2],
    );
    exchange.take(echo(transport.sent[0]));
    assert.equal((await slow).toString(), '/slow\0');
  });
});

describe('requests', () => {
  it('beyond the limit wait, and go out in order as answers come', async () => {
    const transport = new NotedTransport();
    const exchange = exchangeOver(transport, { outstandingMax: 2 });
    const paths = ['/a', '/b', '/c', '/d'];
    const asked = paths.map((path) => exchange.ask(reading(path)));
    for (let answered = 0; answered < paths.length; answered += 1) {
      assert.equal(transport.sent.length, Math.min(2 + answered, paths.length));
      exchange.take(echo(transport.sent[answered]));
    }
    const answers = await Promise.all(asked);
    assert.deepEqual(
      answers.map((answer) => answer.toString()),
      paths.map((path) => `${path}\0`),
    );
  });

  it('never stand before xenstored in larger numbers than the limit says', async (context) => {
    const { fake, store } = await opened(context, { outstandingMax: 3 });
    fake.isHolding = true;
    const asked = Array.from({ length: 30 }, (_, index) => store.write(`/${index}`, ''));
    while (fake.requests.length < 30) {
      await until('some are asked', () => fake.held.length > 0);
      assert.ok(fake.held.length <= 3);
      fake.release();
    }
    await until('the last are asked', () => fake.held.length > 0 || fake.requests.length === 30);
    fake.release();
    await Promise.all(asked);
  });

  it('are refused when too many wait', async () => {
    const transport = new NotedTransport();
    const exchange = exchangeOver(transport, { outstandingMax: 1, waitingMax: 2 });
    const asked = ['/a', '/b', '/c'].map((path) => exchange.ask(reading(path)));
    await assert.rejects(exchange.ask(reading('/d')), xenstoreError('EBUSY', /"\/d" was not sent: 2 requests/));
    for (let index = 0; index < 3; index += 1) exchange.take(echo(transport.sent[index]));
    await Promise.all(asked);
  });

  it('that the transport does not take are refused, and make room for others', async () => {
    const transport = new NotedTransport();
    const exchange = exchangeOver(transport, { outstandingMax: 1 });
    const first = exchange.ask(watching('/a'));
    const second = exchange.ask(reading('/b'));
    transport.refusals[0]?.(Object.assign(new Error('EACCES'), { code: 'EACCES' }));
    await assert.rejects(first, xenstoreError('EACCES', /not taken by the kernel/));
    exchange.take(echo(transport.sent[1]));
    await second;
  });

  it('too large for this transport are refused before they are sent', async () => {
    const transport = Object.assign(new NotedTransport(), { payloadBytesMax: 10 });
    const exchange = exchangeOver(transport);
    await assert.rejects(exchange.ask(reading('/0123456789')), xenstoreError('E2BIG', /room for 10/));
    assert.equal(transport.sent.length, 0);
  });
});

describe('a request that was given up on', () => {
  it('rejects, and its late answer is not taken for that of a later one', async () => {
    const transport = new NotedTransport();
    const exchange = exchangeOver(transport);
    const stop = new AbortController();
    const early = exchange.ask(reading('/early'), { signal: stop.signal });
    stop.abort();
    await assert.rejects(early, xenstoreError('ETIMEDOUT', /READ of "\/early".*may still/));
    const later = exchange.ask(reading('/later'));
    exchange.take(echo(transport.sent[0]));
    exchange.take(echo(transport.sent[1]));
    assert.equal((await later).toString(), '/later\0');
  });

  it('keeps its place until the answer comes, so that a slow xenstored is not asked for ever more', async () => {
    const transport = new NotedTransport();
    const exchange = exchangeOver(transport, { outstandingMax: 2 });
    const stop = new AbortController();
    const given = ['/a', '/b'].map((path) => exchange.ask(reading(path), { signal: stop.signal }));
    stop.abort();
    for (const call of given) await assert.rejects(call, xenstoreError('ETIMEDOUT'));
    const next = exchange.ask(reading('/c'));
    assert.equal(transport.sent.length, 2);
    exchange.take(echo(transport.sent[0]));
    assert.equal(transport.sent.length, 3);
    exchange.take(echo(transport.sent[2]));
    await next;
  });

  it('before it was sent is never sent, and makes room in the queue', async () => {
    const transport = new NotedTransport();
    const exchange = exchangeOver(transport, { outstandingMax: 1, waitingMax: 1 });
    const first = exchange.ask(reading('/a'));
    const stop = new AbortController();
    const waiting = exchange.ask(reading('/b'), { signal: stop.signal });
    stop.abort('enough');
    await assert.rejects(waiting, xenstoreError('ETIMEDOUT', /"\/b" was not sent/));
    const third = exchange.ask(reading('/c'));
    exchange.take(echo(transport.sent[0]));
    exchange.take(echo(transport.sent[1]));
    assert.equal((await third).toString(), '/c\0');
    await first;
  });

  it('before it began is not sent either', async () => {
    const transport = new NotedTransport();
    const exchange = exchangeOver(transport);
    const signal = AbortSignal.abort();
    await assert.rejects(exchange.ask(reading('/a'), { signal }), xenstoreError('ETIMEDOUT', /not sent/));
    assert.equal(transport.sent.length, 0);
  });

  it('tells what came of it, if it succeeds after all', async () => {
    const transport = new NotedTransport();
    const exchange = exchangeOver(transport);
    const late: string[] = [];
    const stop = new AbortController();
    const ask = (path: string): Promise<Buffer> =>
      exchange.ask(reading(path), { signal: stop.signal, onLate: (payload) => late.push(payload.toString()) });
    const both = [ask('/a'), ask('/b')];
    stop.abort();
    for (const call of both) await assert.rejects(call, xenstoreError('ETIMEDOUT'));
    exchange.take(echo(transport.sent[0]));
    exchange.take({ ...echo(transport.sent[1]), operation: 'ERROR', payload: Buffer.from('ENOENT\0') });
    assert.deepEqual(late, ['/a\0']);
  });

  it('is given up on by the time limit where it has no signal', async (context) => {
    const { fake, store, clock } = await opened(context, { limit: millis(20) });
    fake.isHolding = true;
    const calls = [store.read('/'), store.watch('/', () => undefined)];
    const given = calls.map((call) => assert.rejects(call, xenstoreError('ETIMEDOUT', /READ|WATCH/)));
    await until('both are asked', () => fake.held.length === 2);
    await clock.advanceTo(millis(20));
    await Promise.all(given);
    fake.isHolding = false;
    fake.release();
    assert.deepEqual(await store.list('/', { signal: new AbortController().signal }), []);
  });

  it('is not given up on before the time limit, and not after its answer', async () => {
    const clock = new VirtualClock();
    const transport = new NotedTransport();
    const exchange = exchangeOver(transport, { clock, limit: millis(20) });
    const asked = exchange.ask(reading('/a'));
    await clock.advanceTo(millis(19));
    exchange.take(echo(transport.sent[0]));
    assert.equal((await asked).toString(), '/a\0');
    assert.equal(clock.nextTimerAt, null);
  });
});

describe('where watches are answered without an id', () => {
  const answer = (operation: 'WATCH' | 'UNWATCH' | 'READ'): Frame => ({
    operation,
    requestId: 0,
    transactionId: 0,
    payload: Buffer.from('OK\0'),
  });

  it('the oldest of the kind is meant, also when it was given up on', async () => {
    const transport = new NotedTransport(false);
    const exchange = exchangeOver(transport);
    const stop = new AbortController();
    const late: string[] = [];
    const first = exchange.ask(watching('/a'), { signal: stop.signal, onLate: () => late.push('/a') });
    const read = exchange.ask(reading('/b'));
    const second = exchange.ask(watching('/c'));
    stop.abort();
    await assert.rejects(first, xenstoreError('ETIMEDOUT'));
    exchange.take(answer('WATCH'));
    assert.deepEqual(late, ['/a']);
    exchange.take(answer('WATCH'));
    assert.equal((await second).toString(), 'OK\0');
    exchange.take(echo(transport.sent[1]));
    await read;
  });

  it('no other answer may come without one', () => {
    const exchange = exchangeOver(new NotedTransport(false));
    void exchange.ask(reading('/b')).catch(() => undefined);
    for (const operation of ['READ', 'WATCH', 'UNWATCH'] as const) {
      assert.throws(
        () => {
          exchange.take(answer(operation));
        },
        xenstoreError('EPROTO', /id 0/),
      );
    }
    exchange.end(null);
  });

  it('and not where they are answered with one', () => {
    const exchange = exchangeOver(new NotedTransport(true));
    void exchange.ask(watching('/b')).catch(() => undefined);
    assert.throws(
      () => {
        exchange.take(answer('WATCH'));
      },
      xenstoreError('EPROTO', /id 0/),
    );
    exchange.end(null);
  });
});

describe('the bytes of a request', () => {
  it('are what the protocol says', async (context) => {
    const { fake, store } = await opened(context);
    await store.write('/a', 'x');
    await store.list('/');
    await store.setPermissions('/a', [
      { domid: 0, access: 'none' },
      { domid: 7, access: 'both' },
    ]);
    await store.isDomainIntroduced(7);
    await store.transaction((inside) => inside.read('/a'));
    const seen = fake.requests.map(
      ({ operation, transactionId, payload }) => `${operation} ${transactionId} ${JSON.stringify(payload.toString())}`,
    );
    assert.deepEqual(seen, [
      'WRITE 0 "/a\\u0000x"',
      'DIRECTORY 0 "/\\u0000"',
      'SET_PERMS 0 "/a\\u0000n0\\u0000b7\\u0000"',
      'IS_DOMAIN_INTRODUCED 0 "7\\u0000"',
      'TRANSACTION_START 0 "\\u0000"',
      'READ 1 "/a\\u0000"',
      'TRANSACTION_END 1 "T\\u0000"',
    ]);
    assert.deepEqual(
      fake.requests.map((frame) => encodeFrame(frame).readUInt32LE(4)),
      [1, 2, 3, 4, 5, 6, 7],
    );
  });
});
