/** A QEMU that lies, stops or talks nonsense: every call ends, with a reason, and nothing grows. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { setImmediate } from 'node:timers/promises';
import { BYTES_PER_SECOND_MAX } from '../../src/qmp/client.js';
import { connectQmp, QmpError } from '../../src/qmp/index.js';
import { LINE_BYTES_MAX } from '../../src/qmp/line-decoder.js';
import { VirtualClock } from '../../src/sim/index.js';
import { millis } from '../../src/units.js';
import { useSeed } from '../support/seed.js';
import { qmpError, rejection } from './support/failures.js';
import { FakeQemu, GREETING, line, type Tamper } from './support/fake-qemu.js';
import { askUntilFull, opened, patience, until } from './support/opened.js';

useSeed();

const LONG = `{"return": "${'x'.repeat(LINE_BYTES_MAX)}"}\r\n`;

/** Each breaks the protocol in one way. */
const BREACHES: Readonly<Record<string, Tamper>> = {
  'a second greeting': () => [GREETING],
  'no JSON': () => ['(qemu) '.repeat(100) + '\r\n'],
  'no object': (answer) => [line([answer])],
  'a line that is too long': () => [LONG],
  'JSON that is nested too deep': () => [`${'[{"a":'.repeat(200)}\r\n`],
  'bytes that are no text': () => [Buffer.from([0x7b, 0xc3, 0x28, 0x7d, 0x0a])],
  'two values in one line': (answer) => [`${JSON.stringify(answer)} ${JSON.stringify(answer)}\r\n`],
  'one value in several lines': (answer) => [JSON.stringify(answer, null, 4)],
};

describe('a breach of the protocol', () => {
  for (const [breach, tamper] of Object.entries(BREACHES)) {
    it(`ends the connection and all commands: ${breach}`, async (context) => {
      const { fake, qmp } = await opened(context);
      fake.isHolding = true;
      const calls = [1, 2, 3].map(() => rejection(qmp.execute('query-name')));
      await until('all are asked', () => fake.held.length === 3);
      fake.tamper = tamper;
      fake.release([0]);
      const end = await qmp.closed;
      assert.ok(end.kind === 'lost' && end.error.qmpCode === 'EPROTO', JSON.stringify(end));
      for (const error of await Promise.all(calls)) {
        assert.ok(qmpError('EUNAVAILABLE', /is lost/)(error));
        assert.equal(error.mayHaveHappened, true);
      }
      await assert.rejects(qmp.execute('query-name'), qmpError('EUNAVAILABLE'));
      assert.equal(qmp.isReady, false);
      await until('the socket is closed', () => fake.last.socket.readableEnded || fake.last.socket.destroyed);
    });
  }
});

/** Each is no beginning of QMP. */
const BEGINNINGS: Readonly<Record<string, readonly string[]>> = {
  'an answer': [line({ return: {}, id: 1 })],
  'an event': [line({ event: 'STOP' })],
  'an unknown object': ['{}\r\n'],
  'the monitor for people': ['QEMU 7.2.22 monitor - type "help" for more information\r\n(qemu) '],
  'text of another protocol': ['HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'],
  'two greetings': [GREETING + GREETING],
  'a line without end': ['x'.repeat(LINE_BYTES_MAX + 1)],
};

describe('where something else answers than QMP', () => {
  for (const [beginning, greeting] of Object.entries(BEGINNINGS)) {
    it(`the beginning ends, with a reason: ${beginning}`, async (context) => {
      const fake = await FakeQemu.start(context);
      fake.greeting = greeting;
      const error = await rejection(connectQmp(fake.path, { clock: new VirtualClock() }, patience()));
      const cause = error.cause instanceof QmpError ? error.cause : error;
      assert.ok(qmpError('EPROTO', /Check that the socket is QEMU's own QMP monitor/)(cause));
      await until('the socket is closed', () => fake.last.socket.readableEnded || fake.last.socket.destroyed);
    });
  }

  it('the beginning ends when the connection does', async (context) => {
    const fake = await FakeQemu.start(context);
    for (const greeting of [[], [GREETING.slice(0, 20)], [GREETING]]) {
      fake.greeting = greeting;
      fake.isNegotiating = false;
      const opening = rejection(connectQmp(fake.path, { clock: new VirtualClock() }, patience()));
      const before = fake.connections.length;
      await until('somebody connects', () => fake.connections.length > before);
      fake.last.socket.end();
      assert.ok(qmpError('EUNAVAILABLE', /ended the connection/)(await opening));
    }
  });
});

describe('what nobody asked for', () => {
  it('is counted and dropped, and does not disturb', async (context) => {
    const { fake, qmp } = await opened(context);
    const strays = [
      line({ return: {} }),
      line({ return: {}, id: 99 }),
      line({ return: {}, id: '2' }),
      line({ return: {}, id: { a: [] } }),
      line({ error: { class: 'GenericError', desc: 'JSON parse error' } }),
      line({ error: null, id: null }),
      line({ something: 'else' }),
      line({ event: ['STOP'] }),
    ];
    fake.tamper = (answer) => [...strays, line(answer), line(answer)];
    assert.deepEqual(await qmp.execute('query-name'), { name: 'vm1' });
    fake.tamper = (answer) => [line(answer)];
    await qmp.execute('query-name');
    assert.deepEqual(qmp.counts, { lateAnswers: 0, strayMessages: strays.length + 1, failedEvents: 0 });
  });

  it('in a flood is not kept: neither answers nor events', async (context) => {
    const FLOOD = 100_000;
    const PADDING = 'x'.repeat(900);
    let events = 0;
    const { fake, qmp, clock } = await opened(context, {
      events: { onEvent: () => (events += 1), onError: (error) => assert.fail(String(error)) },
    });
    const parts = Buffer.from(line({ event: 'BALLOON_CHANGE', data: { PADDING } }) + line({ return: PADDING }));
    const many = Buffer.concat(Array.from({ length: 100 }, () => parts));
    for (let sent = 0; sent < FLOOD; sent += 100) fake.last.socket.write(many);
    for (let second = 1; events < FLOOD; second += 1) {
      await until('a second has its part', () => events === FLOOD || clock.nextTimerAt === second * 1_000);
      await clock.advanceTo(millis(second * 1_000));
    }
    assert.deepEqual(await qmp.execute('query-name'), { name: 'vm1' });
    assert.equal(qmp.counts.strayMessages, FLOOD);
  });

  it('is read no faster than so many bytes a second, whoever sends without end', async (context) => {
    let events = 0;
    const { fake, clock } = await opened(context, {
      events: { onEvent: () => (events += 1), onError: (error) => assert.fail(String(error)) },
    });
    const event = Buffer.from(line({ event: 'BALLOON_CHANGE', data: { padding: 'x'.repeat(900) } }));
    const inSecond = Math.floor(BYTES_PER_SECOND_MAX / event.length);
    // What one read takes besides.
    const slack = Math.ceil((64 * 1024) / event.length);
    for (let sent = 0; sent < 5 * inSecond; sent += 1) fake.last.socket.write(event);
    for (let second = 1; second <= 4; second += 1) {
      await until('a second has its part', () => events >= second * (inSecond - 1));
      for (let turn = 0; turn < 100; turn += 1) await setImmediate();
      assert.ok(events <= second * (inSecond + slack), `${events} after ${second} s`);
      await clock.advanceTo(millis(second * 1_000));
    }
  });

  it('leaves nothing behind when the connection is closed while it waits', async (context) => {
    const { fake, qmp, clock } = await opened(context);
    fake.last.socket.on('error', () => undefined).write(Buffer.alloc(2 * BYTES_PER_SECOND_MAX, line({})));
    await until('it is not read on', () => clock.nextTimerAt === 1_000);
    await qmp.close();
    assert.notEqual(clock.nextTimerAt, 1_000);
  });
});

describe('garbage', () => {
  it('of 100 MB is not read to its end', async (context) => {
    const { fake, qmp } = await opened(context);
    const { socket } = fake.last;
    const piece = Buffer.alloc(2 ** 20, 0x78);
    let sent = 0;
    while (sent < 100 && !socket.destroyed) {
      sent += 1;
      if (!socket.write(piece)) await new Promise((resolve) => socket.once('drain', resolve).once('close', resolve));
    }
    const end = await qmp.closed;
    assert.ok(end.kind === 'lost' && end.error.qmpCode === 'EPROTO');
    assert.ok(sent < 100, `${sent} MB were taken`);
  });

  it('of whatever kind leaves no command without an end, and ends the connection for a reason', async (context) => {
    const anyNoise = fc.array(
      fc.oneof(
        fc.uint8Array({ minLength: 1, maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
        fc.json().map((text) => Buffer.from(`${text}\r\n`)),
      ),
      { minLength: 1, maxLength: 5 },
    );
    await fc.assert(
      fc.asyncProperty(anyNoise, async (noise) => {
        const { fake, qmp } = await opened(context);
        fake.tamper = () => noise;
        const asked = Promise.allSettled([1, 2, 3].map(() => qmp.execute('query-name')));
        await until('all are asked', () => fake.requests.length === 3 || fake.last.socket.destroyed || !qmp.isReady);
        fake.last.socket.end();
        for (const outcome of await asked) {
          if (outcome.status === 'rejected') assert.ok(outcome.reason instanceof QmpError);
        }
        assert.equal((await qmp.closed).kind, 'lost');
      }),
      { numRuns: 50 },
    );
  });
});

describe('a connection that ends', () => {
  it('in the midst of an answer rejects all that waits', async (context) => {
    const { fake, qmp } = await opened(context);
    fake.tamper = () => ['{"return": {"na'];
    const asked = rejection(qmp.execute('query-name'));
    await until('it is answered in part', () => fake.requests.length === 1);
    fake.last.socket.end();
    const error = await asked;
    assert.ok(qmpError('EUNAVAILABLE', /QEMU ended the connection/)(error));
    assert.equal(error.mayHaveHappened, true);
  });

  it('in one direction only is over, also when the other side reads nothing any more', async (context) => {
    const { fake, qmp } = await opened(context);
    fake.last.socket.pause();
    const calls = [1, 2, 3, 4, 5, 6, 7, 8].map(() =>
      rejection(qmp.execute('query-name', { padding: 'x'.repeat(60_000) })),
    );
    await until('nothing more can be sent', () => fake.last.socket.isPaused());
    fake.last.socket.end();
    for (const error of await Promise.all(calls))
      assert.ok(error.qmpCode === 'EUNAVAILABLE' || error.qmpCode === 'EBUSY');
    assert.equal((await qmp.closed).kind, 'lost');
  });
});

describe('a QEMU that reads nothing', () => {
  it('is sent no more than a fixed number of bytes, and commands end at their limits', async (context) => {
    const { fake, qmp, clock } = await opened(context, { inFlightMax: 1_000_000 });
    fake.last.socket.pause();
    const calls = await askUntilFull(qmp, 'query-name', { padding: 'x'.repeat(10_000) });
    await clock.advanceTo(millis(5_000));
    const errors = await Promise.all(calls);
    const refusal = errors.pop();
    assert.deepEqual([refusal?.qmpCode, refusal?.mayHaveHappened], ['EBUSY', false]);
    for (const { qmpCode, mayHaveHappened } of errors)
      assert.deepEqual([qmpCode, mayHaveHappened], ['ETIMEDOUT', true]);
    assert.ok(errors.length > 20);
    fake.last.socket.resume();
    await until('it has read all', () => qmp.counts.lateAnswers === errors.length);
    assert.deepEqual(await qmp.execute('query-name'), { name: 'vm1' });
  });
});
