/** Protects the beginning of a connection, what is said over it, and the events. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeBalloon } from '../../src/qmp/answers.js';
import { connectQmp, type QmpEvent } from '../../src/qmp/index.js';
import { VirtualClock } from '../../src/sim/index.js';
import { millis } from '../../src/units.js';
import { qmpError, rejection } from './support/failures.js';
import { VERSION } from './support/fake-machine.js';
import { FakeQemu, line } from './support/fake-qemu.js';
import { connectTo, opened, patience, until } from './support/opened.js';

describe('the beginning', () => {
  it('knows the version and is ready, with nothing enabled', async (context) => {
    const { fake, qmp } = await opened(context);
    assert.deepEqual(qmp.version, { ...VERSION.qemu, package: VERSION.package });
    assert.equal(qmp.isReady, true);
    assert.equal(await qmp.execute('query-name').then((answer) => JSON.stringify(answer)), '{"name":"vm1"}');
    assert.deepEqual(fake.requests, [{ execute: 'query-name', id: 2 }]);
    await qmp.close();
    assert.equal(qmp.isReady, false);
  });

  it('does not need the version', async (context) => {
    const fake = await FakeQemu.start(context);
    for (const greeting of [
      '{"QMP": {}}',
      '{"QMP": {"version": {"qemu": {"major": "7"}}, "capabilities": 1}}',
      '{"QMP": null}',
    ]) {
      fake.greeting = [`${greeting}\r\n`];
      const qmp = await connectTo(context, fake, { clock: new VirtualClock() });
      assert.equal(qmp.version, null);
      assert.equal(qmp.isReady, true);
    }
  });

  it('waits for the greeting no longer than its limit, and says who may be in the way', async (context) => {
    const fake = await FakeQemu.start(context);
    fake.greeting = [];
    const clock = new VirtualClock();
    const opening = rejection(connectQmp(fake.path, { clock, greetingLimit: millis(700) }, patience()));
    await until('it waits', () => clock.nextTimerAt !== null);
    await clock.advanceTo(millis(700));
    assert.ok(qmpError('ETIMEDOUT', /did not greet in time\. .*one client at a time/)(await opening));
    await until('the socket is closed', () => fake.last.socket.readableEnded);
    assert.equal(clock.nextTimerAt, null);
  });

  it('is sent nothing before it has greeted', async (context) => {
    const fake = await FakeQemu.start(context);
    fake.greeting = [];
    let came = 0;
    const opening = connectTo(context, fake, { clock: new VirtualClock() });
    await until('somebody connects', () => fake.connections.length === 1);
    fake.last.socket.on('data', () => (came += 1));
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(came, 0);
    fake.send(line({ QMP: { version: VERSION, capabilities: [] } }));
    assert.equal((await opening).isReady, true);
  });

  it('waits for the end of the negotiation no longer than a command may take', async (context) => {
    const fake = await FakeQemu.start(context);
    fake.isNegotiating = false;
    const clock = new VirtualClock();
    const opening = rejection(connectQmp(fake.path, { clock, limit: millis(300) }, patience()));
    await until('somebody connects', () => fake.connections.length === 1);
    // The greeting's own limit is longer.
    await until('it has greeted', () => clock.nextTimerAt === 300);
    await clock.advanceTo(millis(300));
    assert.ok(qmpError('ETIMEDOUT', /has not answered qmp_capabilities/)(await opening));
    await until('the socket is closed', () => fake.last.socket.readableEnded);
  });

  it('ends when its caller gives up, before or in the midst of it', async (context) => {
    const fake = await FakeQemu.start(context);
    fake.greeting = [];
    const clock = new VirtualClock();
    await assert.rejects(connectQmp(fake.path, { clock }, AbortSignal.abort()), qmpError('ETIMEDOUT', /no connection/));
    const stop = new AbortController();
    const opening = rejection(connectQmp(fake.path, { clock }, stop.signal));
    await until('it waits', () => clock.nextTimerAt !== null);
    stop.abort('enough');
    assert.equal((await opening).cause, 'enough');
    await until('all sockets are closed', () => fake.connections.every(({ socket }) => socket.readableEnded));
  });
});

describe('what is said', () => {
  it('is answered whatever it is, many at once', async (context) => {
    const { fake, qmp } = await opened(context);
    const asked = Array.from({ length: 30 }, () => qmp.execute('query-balloon'));
    const wrong = rejection(qmp.execute('query-nothing'));
    for (const answer of await Promise.all(asked)) assert.equal(decodeBalloon(answer), fake.machine.memory);
    assert.equal((await wrong).class, 'CommandNotFound');
    assert.equal((await wrong).code, 'ENODEV');
  });

  it('never stands before QEMU in larger numbers than eight', async (context) => {
    const { fake, qmp } = await opened(context);
    fake.isHolding = true;
    const asked = Promise.all(Array.from({ length: 40 }, () => qmp.execute('query-name')));
    while (fake.requests.length < 40) {
      await until('some are asked', () => fake.held.length > 0);
      assert.ok(fake.held.length <= 8);
      fake.release();
    }
    fake.isHolding = false;
    fake.release();
    await asked;
  });

  it('reaches its own answer when they come in another order', async (context) => {
    const { fake, qmp } = await opened(context);
    fake.isHolding = true;
    const asked = [qmp.execute('query-name'), qmp.execute('query-balloon'), qmp.execute('query-uuid')];
    await until('all are asked', () => fake.held.length === 3);
    fake.release([2, 0, 1]);
    assert.deepEqual(await Promise.all(asked), [
      { name: 'vm1' },
      { actual: fake.machine.memory },
      { UUID: fake.machine.uuid },
    ]);
  });

  it('is forgotten when it takes too long, and what follows is answered', async (context) => {
    const { fake, qmp, clock } = await opened(context);
    fake.isHolding = true;
    const slow = rejection(qmp.execute('balloon', { value: 1 }, { limit: millis(50) }));
    await until('it is asked', () => fake.held.length === 1);
    await clock.advanceTo(millis(50));
    assert.equal((await slow).mayHaveHappened, true);
    fake.isHolding = false;
    fake.release();
    await qmp.execute('query-name');
    assert.deepEqual(qmp.counts, { lateAnswers: 1, strayMessages: 0, failedEvents: 0 });
  });
});

describe('events', () => {
  it('reach the listener in order, and before the answer that follows them', async (context) => {
    const seen: string[] = [];
    const { fake, qmp } = await opened(context, {
      events: {
        onEvent: ({ name, data, at }) => seen.push(`${name} ${JSON.stringify(data)} ${String(at)}`),
        onError: (error) => assert.fail(String(error)),
      },
    });
    await qmp.execute('balloon', { value: 4096 });
    fake.emit('STOP');
    await qmp.execute('query-name').then(() => seen.push('answer'));
    assert.deepEqual(seen, ['BALLOON_CHANGE {"actual":4096} 1700000000500', 'STOP {} 1700000000500', 'answer']);
  });

  it('without a listener are dropped', async (context) => {
    const { fake, qmp } = await opened(context);
    fake.emit('STOP');
    await qmp.execute('query-name');
    assert.deepEqual(qmp.counts, { lateAnswers: 0, strayMessages: 0, failedEvents: 0 });
  });

  it('whose listener throws hurt nobody, also when nobody can be told of it', async (context) => {
    const errors: unknown[] = [];
    const fail = (event: QmpEvent): void => {
      throw new Error(`no ${event.name}`);
    };
    const onError = (error: unknown): void => {
      errors.push(error);
      throw new Error('and no more of it');
    };
    const { fake, qmp } = await opened(context, { events: { onEvent: fail, onError } });
    fake.emit('STOP');
    fake.emit('RESUME');
    await qmp.execute('query-name');
    assert.deepEqual(errors.map(String), ['Error: no STOP', 'Error: no RESUME']);
    assert.equal(qmp.counts.failedEvents, 2);
    assert.equal(qmp.isReady, true);
  });

  it('are not told of any more once a listener has closed the connection', async (context) => {
    const seen: string[] = [];
    const { fake, qmp } = await opened(context, {
      events: {
        onEvent: ({ name }) => {
          seen.push(name);
          void qmp.close();
        },
        onError: (error) => assert.fail(String(error)),
      },
    });
    fake.send(line({ event: 'STOP' }) + line({ event: 'RESUME' }));
    assert.deepEqual(await qmp.closed, { kind: 'closed' });
    await qmp.close();
    assert.deepEqual(seen, ['STOP']);
  });
});

describe('closing', () => {
  it('rejects what is under way with whether it may have happened, and may be done again', async (context) => {
    const { fake, qmp } = await opened(context, { inFlightMax: 2 });
    fake.isHolding = true;
    const calls = [1, 2, 3].map(() => rejection(qmp.execute('query-name')));
    await until('some are asked', () => fake.held.length === 2);
    await Promise.all([qmp.close(), qmp.close()]);
    await qmp.close();
    const errors = [...(await Promise.all(calls)), await rejection(qmp.execute('query-name'))];
    for (const error of errors) assert.ok(qmpError('EUNAVAILABLE', /closed by this program/)(error));
    assert.deepEqual(
      errors.map(({ mayHaveHappened }) => mayHaveHappened),
      [true, true, false, false],
    );
    assert.deepEqual(await qmp.closed, { kind: 'closed' });
    await until('the socket is closed', () => fake.last.socket.readableEnded);
  });
});
