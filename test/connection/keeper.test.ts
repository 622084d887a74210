/** Protects a connection that is to be kept: it is made again for ever, never in haste, and a person hears of it once. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { ConnectionKeeper } from '../../src/connection/keeper.js';
import { VirtualClock } from '../../src/sim/index.js';
import { addMillis, millis } from '../../src/units.js';
import type { Xenstore } from '../../src/xenstore/index.js';
import { FakeXenstored } from '../xenstore/support/fake-xenstored.js';
import { connectTo, until } from '../xenstore/support/opened.js';

/** A connection whose making a test decides on. It is ended after the test. */
class Rig {
  readonly clock = new VirtualClock();
  readonly told: string[] = [];
  /** When a connection was tried. */
  readonly tries: number[] = [];
  connect: (signal: AbortSignal) => Promise<Xenstore> = () => Promise.reject(new Error('no socket'));
  onConnected: () => Promise<void> = () => Promise.resolve();
  readonly keeper: ConnectionKeeper<Xenstore>;
  readonly #ending = new AbortController();
  readonly #keeping: Promise<void>;

  constructor(test: TestContext) {
    this.keeper = new ConnectionKeeper({
      to: 'xenstored',
      clock: this.clock,
      connect: (signal) => {
        this.tries.push(this.clock.now());
        return this.connect(signal);
      },
      onConnected: () => this.onConnected(),
      tell: (message) => void this.told.push(message),
    });
    // The first try begins in the next turn, so that a test can say first what comes of it.
    this.#keeping = Promise.resolve().then(() => this.keeper.keep(this.#ending.signal));
    test.after(() => this.end());
  }

  to(at: number): Promise<void> {
    return this.clock.advanceTo(millis(at));
  }

  end(): Promise<void> {
    this.#ending.abort();
    return this.#keeping;
  }

  get isUsable(): boolean {
    return 'connection' in this.keeper.state;
  }

  get why(): string {
    return 'why' in this.keeper.state ? this.keeper.state.why : 'usable';
  }
}

const LOST = /^the connection to xenstored is lost: .*; connecting again$/;
const FOUND = 'xenstored is connected to again';

async function cut(fake: FakeXenstored, rig: Rig): Promise<void> {
  fake.last.socket.destroy();
  await until('the loss is noticed', () => !rig.isUsable);
}

describe('a connection, here to xenstored,', () => {
  it('that is not to be had is tried for after pauses that double up to 5 s, and told of once', async (test) => {
    const rig = new Rig(test);
    await rig.to(25_000);
    assert.deepEqual(rig.tries, [0, 200, 600, 1_400, 3_000, 6_200, 11_200, 16_200, 21_200]);
    assert.deepEqual(rig.told, ['the connection to xenstored is lost: no socket; connecting again']);
    assert.equal(rig.why, 'no socket');
  });

  it('says that it has not been made yet before the first try', (test) => {
    assert.equal(new Rig(test).why, 'it has not been made yet');
  });

  it('that is found at once is not worth a word', async (test) => {
    const fake = await FakeXenstored.start(test);
    const rig = new Rig(test);
    rig.connect = () => connectTo(test, fake);
    await until('it is made', () => rig.isUsable);
    assert.deepEqual(rig.told, []);
  });

  it('is told of once when it is lost and once when it is there again', async (test) => {
    const fake = await FakeXenstored.start(test);
    const rig = new Rig(test);
    rig.connect = () => connectTo(test, fake);
    await until('it is made', () => rig.isUsable);
    await rig.to(60_000);
    await cut(fake, rig);
    await until('it is told', () => rig.told.length === 1);
    await rig.to(60_200);
    await until('it is made again', () => rig.isUsable && rig.told.length === 2);
    assert.match(rig.told[0] ?? '', LOST);
    assert.equal(rig.told[1], FOUND);
    assert.deepEqual(rig.tries, [0, 60_200]);
  });

  it('that comes and goes tells of both in turn, and the pauses go on growing', async (test) => {
    const fake = await FakeXenstored.start(test);
    const rig = new Rig(test);
    rig.connect = () => connectTo(test, fake);
    for (const at of [200, 600, 1_400, 3_000]) {
      await until('it is made', () => rig.isUsable);
      await cut(fake, rig);
      await rig.to(at - 1);
      const before = rig.tries.length;
      await rig.to(at);
      assert.equal(rig.tries.length, before + 1);
    }
    await until('it is made', () => rig.isUsable);
    const kinds = rig.told.map((message) => (message === FOUND ? 'found' : 'lost'));
    assert.deepEqual(kinds.slice(0, 6), ['lost', 'found', 'lost', 'found', 'lost', 'found']);
  });

  it('to a xenstored that hangs is told of once, however often it is tried', async (test) => {
    const fake = await FakeXenstored.start(test);
    const rig = new Rig(test);
    rig.connect = () => connectTo(test, fake);
    rig.onConnected = async () => {
      await rig.clock.sleepUntil(addMillis(rig.clock.now(), millis(5_001)), new AbortController().signal);
      throw new Error('xenstored has not answered');
    };
    for (let at = 0; at <= 60_000; at += 500) {
      await rig.to(at);
      for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual(rig.told, ['the connection to xenstored is lost: xenstored has not answered; connecting again']);
    const pauses = rig.tries.slice(1).map((at, n) => at - (rig.tries[n] ?? 0));
    assert.ok((pauses.at(-1) ?? 0) >= 10_000, pauses.join(' '));
  });

  it('is usable while its user still looks around, and not any more once that fails', async (test) => {
    const fake = await FakeXenstored.start(test);
    const rig = new Rig(test);
    rig.connect = () => connectTo(test, fake);
    let fail = (): void => undefined;
    rig.onConnected = () =>
      new Promise(
        (_, reject) =>
          (fail = () => {
            reject(new Error('nothing is listed'));
          }),
      );
    await until('it is made', () => rig.isUsable);
    fail();
    await until('it is given up', () => !rig.isUsable);
    await until('it is told', () => rig.told.length > 0);
    assert.match(rig.told.join(), /nothing is listed/);
  });

  it('ends at once while it is being made, used or waited for, and is not made again', async (test) => {
    const fake = await FakeXenstored.start(test);
    const making = new Rig(test);
    making.connect = (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          reject(new Error('given up'));
        });
      });
    const used = new Rig(test);
    used.connect = () => connectTo(test, fake);
    await until('it is made', () => used.isUsable);
    const waiting = new Rig(test);
    await waiting.to(100);
    for (const rig of [making, used, waiting]) {
      await rig.end();
      assert.equal(rig.tries.length, 1);
      assert.equal(rig.isUsable, false);
    }
    await until('the socket is closed', () => fake.last.socket.destroyed);
  });

  it('is not made at all when it was ended before', async (test) => {
    const rig = new Rig(test);
    await rig.end();
    await rig.to(10_000);
    assert.deepEqual(rig.tries, []);
  });

  it('gives up a try that takes more than 5 s', async (test) => {
    const rig = new Rig(test);
    rig.connect = (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          reject(new Error('too slow'));
        });
      });
    await rig.to(4_999);
    assert.deepEqual(rig.told, []);
    await rig.to(5_000);
    assert.match(rig.told.join(), /too slow/);
  });
});
