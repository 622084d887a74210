/** Protects the pairing of commands and answers: each gets its own, whatever the order, and there are limits. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Exchange, type ExchangeOptions } from '../../src/qmp/exchange.js';
import { decodeMessage } from '../../src/qmp/message.js';
import type { Transport } from '../../src/qmp/transport.js';
import { VirtualClock } from '../../src/sim/index.js';
import { millis } from '../../src/units.js';
import { useSeed } from '../support/seed.js';
import { qmpError, rejection } from './support/failures.js';

useSeed();

interface Sent {
  readonly execute: string;
  readonly id: number;
}

/** A transport that only notes what is sent, or refuses it. */
class NotedTransport implements Transport {
  readonly peerPid = (): null => null;
  readonly description = 'a list';
  readonly sent: Sent[] = [];
  isFull = false;

  start(): void {
    throw new Error('an exchange does not start its transport');
  }

  pause(): void {
    throw new Error('an exchange does not receive');
  }

  resume(): void {
    this.pause();
  }

  send(line: Buffer): boolean {
    if (!this.isFull) this.sent.push(JSON.parse(line.toString()) as Sent);
    return !this.isFull;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  get names(): readonly string[] {
    return this.sent.map(({ execute }) => execute);
  }
}

class Rig {
  readonly transport = new NotedTransport();
  readonly clock = new VirtualClock();
  readonly exchange: Exchange;

  constructor(options: Partial<ExchangeOptions> = {}) {
    const { transport, clock } = this;
    this.exchange = new Exchange({
      transport,
      clock,
      inFlightMax: 4,
      waitingMax: 100,
      limit: millis(5_000),
      ...options,
    });
  }

  /** Answers what was sent as number `index` with its own name. */
  echo(index: number): void {
    const sent = this.transport.sent.at(index);
    assert.ok(sent !== undefined);
    this.take(`{"return": "${sent.execute}", "id": ${sent.id}}`);
  }

  take(line: string): void {
    const message = decodeMessage(Buffer.from(line));
    assert.ok(message.kind === 'return' || message.kind === 'error');
    this.exchange.take(message);
  }

  to(at: number): Promise<void> {
    return this.clock.advanceTo(millis(at));
  }
}

describe('answers', () => {
  it('reach their own commands in whatever order they come', async () => {
    const anyOrder = fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6, 7], { minLength: 8 });
    await fc.assert(
      fc.asyncProperty(anyOrder, async (order) => {
        const rig = new Rig({ inFlightMax: 8 });
        const asked = order.map((index) => rig.exchange.execute(`command-${index}`));
        for (const index of order) rig.echo(index);
        assert.deepEqual(
          await Promise.all(asked),
          order.map((index) => `command-${index}`),
        );
      }),
    );
  });

  it('to nothing that was asked are counted and dropped', async () => {
    const rig = new Rig();
    const asked = rig.exchange.execute('a');
    for (const id of ['"1"', '[1]', '{"id": 1}', 'null', 'true', '1.5', '0', '-1', '2', '1e99', '"__proto__"']) {
      rig.take(`{"return": {}, "id": ${id}}`);
      rig.take(`{"error": {"class": "GenericError", "desc": ""}, "id": ${id}}`);
    }
    rig.take('{"return": {}}');
    rig.take('{"error": {"class": "GenericError", "desc": "JSON parse error"}}');
    assert.equal(rig.exchange.strayAnswers, 24);
    rig.echo(0);
    assert.equal(await asked, 'a');
    rig.echo(0);
    assert.equal(rig.exchange.strayAnswers, 25);
    assert.equal(rig.exchange.lateAnswers, 0);
  });

  it('that are errors reject their own command alone, with the class and what was said', async () => {
    const rig = new Rig();
    const [first, second] = [rig.exchange.execute('query-balloon'), rig.exchange.execute('query-name')];
    rig.take('{"id": 1, "error": {"class": "DeviceNotActive", "desc": "No balloon device has been activated"}}');
    rig.echo(1);
    const error = await rejection(first);
    assert.equal(error.qmpCode, 'EREFUSED');
    assert.equal(error.class, 'DeviceNotActive');
    assert.equal(error.mayHaveHappened, false);
    assert.match(error.message, /QEMU on a list refused query-balloon: DeviceNotActive, "No balloon device/);
    assert.equal(await second, 'query-name');
  });
});

describe('commands', () => {
  it('beyond the limit wait, and go out in order as answers come', async () => {
    const rig = new Rig({ inFlightMax: 2 });
    const names = ['a', 'b', 'c', 'd'];
    const asked = names.map((name) => rig.exchange.execute(name));
    for (let answered = 0; answered < names.length; answered += 1) {
      assert.equal(rig.transport.sent.length, Math.min(2 + answered, names.length));
      rig.echo(answered);
    }
    assert.deepEqual(await Promise.all(asked), names);
  });

  it('are refused at once when too many wait, and were then not sent', async () => {
    const rig = new Rig({ inFlightMax: 1, waitingMax: 2 });
    const asked = ['a', 'b', 'c'].map((name) => rig.exchange.execute(name));
    const error = await rejection(rig.exchange.execute('d'));
    assert.ok(qmpError('EBUSY', /d was not sent to QEMU on a list: 2 commands wait/)(error));
    assert.equal(error.mayHaveHappened, false);
    for (let index = 0; index < 3; index += 1) rig.echo(index);
    assert.deepEqual(await Promise.all(asked), ['a', 'b', 'c']);
  });

  it('that the transport does not take are refused, and make room for others', async () => {
    const rig = new Rig({ inFlightMax: 1 });
    rig.transport.isFull = true;
    const error = await rejection(rig.exchange.execute('a'));
    assert.ok(qmpError('EBUSY', /does not read/)(error));
    assert.equal(error.mayHaveHappened, false);
    rig.transport.isFull = false;
    const next = rig.exchange.execute('b');
    rig.echo(0);
    assert.equal(await next, 'b');
  });

  it('that cannot be sent reject, and use up nothing', async () => {
    const rig = new Rig({ inFlightMax: 1 });
    await assert.rejects(rig.exchange.execute('no name'), qmpError('EINVAL'));
    await assert.rejects(rig.exchange.execute('a', { b: 'x'.repeat(70_000) }), qmpError('EINVAL'));
    const next = rig.exchange.execute('c');
    assert.deepEqual(rig.transport.sent, [{ execute: 'c', id: 1 }]);
    rig.echo(0);
    await next;
  });
});

describe('a command without an answer', () => {
  it('rejects when its limit has passed, and its late answer is counted and nobody else’s', async () => {
    const rig = new Rig();
    const early = rejection(rig.exchange.execute('early'));
    const longer = rig.exchange.execute('longer', {}, { limit: millis(60_000) });
    await rig.to(5_000);
    const error = await early;
    assert.ok(qmpError('ETIMEDOUT', /QEMU on a list has not answered early in time, and may still/)(error));
    assert.equal(error.mayHaveHappened, true);
    const later = rig.exchange.execute('later');
    rig.echo(0);
    assert.equal(rig.exchange.lateAnswers, 1);
    rig.echo(2);
    rig.echo(1);
    assert.equal(await later, 'later');
    assert.equal(await longer, 'longer');
    assert.equal(rig.exchange.strayAnswers, 0);
  });

  it('keeps its place, so that a stopped QEMU is not sent ever more: what waits is known not to have happened', async () => {
    const rig = new Rig({ inFlightMax: 2 });
    const sent = ['a', 'b'].map((name) => rejection(rig.exchange.execute(name)));
    await rig.to(5_000);
    for (const error of await Promise.all(sent)) assert.equal(error.mayHaveHappened, true);
    for (let round = 1; round <= 50; round += 1) {
      const error = rejection(rig.exchange.execute('c'));
      await rig.to(5_000 * (round + 1));
      assert.ok(qmpError('ETIMEDOUT', /c was not sent/)(await error));
      assert.equal((await error).mayHaveHappened, false);
    }
    assert.deepEqual(rig.transport.names, ['a', 'b']);
    rig.echo(0);
    const next = rig.exchange.execute('d');
    rig.echo(2);
    assert.equal(await next, 'd');
  });

  it('rejects when its caller gives up, sent or not', async () => {
    const rig = new Rig({ inFlightMax: 1, waitingMax: 1 });
    const stop = new AbortController();
    const { signal } = stop;
    const sent = rejection(rig.exchange.execute('a', {}, { signal }));
    const waiting = rejection(rig.exchange.execute('b', {}, { signal }));
    stop.abort('enough');
    assert.equal((await sent).mayHaveHappened, true);
    assert.equal((await waiting).mayHaveHappened, false);
    assert.equal((await sent).cause, 'enough');
    const third = rig.exchange.execute('c');
    rig.echo(0);
    rig.echo(1);
    assert.equal(await third, 'c');
    assert.deepEqual(rig.transport.names, ['a', 'c']);
  });

  it('that was given up on before it began is not sent', async () => {
    const rig = new Rig();
    const error = await rejection(rig.exchange.execute('a', {}, { signal: AbortSignal.abort() }));
    assert.ok(qmpError('ETIMEDOUT', /not sent/)(error));
    assert.equal(rig.transport.sent.length, 0);
  });

  it('leaves no timer and no listener behind, whatever became of it', async () => {
    const rig = new Rig({ inFlightMax: 3 });
    const { signal } = new AbortController();
    const calls = ['a', 'b', 'c', 'd'].map((name) => rig.exchange.execute(name, {}, { signal }).catch(() => null));
    rig.echo(0);
    rig.take('{"error": {"class": "GenericError", "desc": ""}, "id": 2}');
    rig.exchange.end(null);
    await Promise.all(calls);
    assert.deepEqual(getEventListeners(signal, 'abort'), []);
    assert.equal(rig.clock.nextTimerAt, null);
  });
});

describe('the end of the connection', () => {
  it('rejects all that waits and tells which may have happened, and all that comes', async () => {
    const rig = new Rig({ inFlightMax: 2 });
    const calls = ['a', 'b', 'c'].map((name) => rejection(rig.exchange.execute(name)));
    rig.exchange.end(null);
    rig.exchange.end(null);
    const errors = [...(await Promise.all(calls)), await rejection(rig.exchange.execute('d'))];
    for (const error of errors) assert.ok(qmpError('EUNAVAILABLE', /closed by this program/)(error));
    assert.deepEqual(
      errors.map(({ mayHaveHappened }) => mayHaveHappened),
      [true, true, false, false],
    );
    assert.equal(rig.transport.sent.length, 2);
  });
});
