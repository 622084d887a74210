/** The client over something that is read and written as the kernel's device is. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { VirtualClock } from '../../src/sim/index.js';
import { encodeFrame, type Frame } from '../../src/xenstore/codec.js';
import { openXenstore, type Xenstore } from '../../src/xenstore/client.js';
import type { WatchEvent } from '../../src/xenstore/watch-queue.js';
import { openXenbusDevice } from '../../src/xenstore/xenbus-device.js';
import { fixture } from '../support/paths.js';
import { kernelsAnswers, openDevice, type Device } from './support/device.js';
import { xenstoreError } from './support/frames.js';
import { until } from './support/opened.js';

const clientOf = ({ transport, clock }: Device): Xenstore => openXenstore({ transport, clock });

const ignore = (): void => undefined;

/** Than a socket keeps for its reader. */
const MORE_THAN_FITS = 8 * 1024 * 1024;

describe('the device', () => {
  it('that is not there is an error with words', async () => {
    await assert.rejects(
      openXenbusDevice('/dev/no/such', new VirtualClock()),
      xenstoreError('EUNAVAILABLE', /Xen domains only/),
    );
  });

  it('is never taken for one where it is a file', async () => {
    const file = fixture('proc', 'linux-6.18', 'mm_stat');
    await assert.rejects(openXenbusDevice(file, new VirtualClock()), xenstoreError('EUNAVAILABLE', /not a device/));
  });

  it('carries all that the socket carries', async (context) => {
    const device = await openDevice(context);
    const store = clientOf(device);
    await store.write('/a/b', 'value');
    assert.equal(await store.readText('/a/b'), 'value');
    await assert.rejects(store.read('/none'), xenstoreError('ENOENT'));
    await store.transaction((inside) => inside.write('/a/c', ''));
    assert.deepEqual(await store.list('/a'), ['b', 'c']);
    const all = Array.from({ length: 200 }, (_, index) => store.write(`/many/${index}`, ''));
    await Promise.all(all);
    assert.equal((await store.list('/many')).length, 200);
    await store.close();
  });

  it('takes 16 bytes less than the socket, and is not asked for more', async (context) => {
    const device = await openDevice(context);
    const store = clientOf(device);
    await store.write('/a', Buffer.alloc(4080 - 3));
    await assert.rejects(store.write('/a', Buffer.alloc(4080 - 2)), xenstoreError('E2BIG', /room for 4080/));
  });

  it('watches, though the kernel answers without ids and tells events with any', async (context) => {
    const device = await openDevice(context);
    const store = clientOf(device);
    const events: WatchEvent[] = [];
    const note = (event: WatchEvent): void => void events.push(event);
    const [first, second] = await Promise.all([store.watch('/a', note), store.watch('/b', note)]);
    await until('both have begun', () => events.length === 2);
    const { watches } = device.fake.last.session;
    const payload = Buffer.from(`/b/x\0${watches[1]?.token ?? ''}\0`);
    device.fake.send(encodeFrame({ operation: 'WATCH_EVENT', requestId: 0xdeadbeef, transactionId: 0xffff, payload }));
    await until('it came', () => events.length === 3);
    assert.deepEqual(events.at(-1), { kind: 'changed', path: '/b/x' });
    await Promise.all([first(), second()]);
    assert.equal(watches.length, 0);
  });

  it('is given one whole message with each write, in order', async (context) => {
    const { fake, transport } = await openDevice(context);
    fake.tamper = (answer: Frame, request: Frame) => kernelsAnswers(answer, request);
    transport.start({ onBytes: ignore, onLost: ignore });
    for (let requestId = 1; requestId <= 50; requestId += 1) {
      const payload = Buffer.from(`/${requestId}\0`);
      transport.send(encodeFrame({ operation: 'MKDIR', requestId, transactionId: 0, payload }), ignore);
    }
    await until('all came', () => fake.requests.length === 50);
    assert.deepEqual(
      fake.requests.map(({ requestId }) => requestId),
      Array.from({ length: 50 }, (_, index) => index + 1),
    );
  });

  it('that ends is a connection that is lost', async (context) => {
    const device = await openDevice(context);
    const store = clientOf(device);
    await store.write('/a', '');
    device.fake.isHolding = true;
    const asked = assert.rejects(store.read('/a'), xenstoreError('EUNAVAILABLE', /a socket pair is lost/));
    await until('it is asked', () => device.fake.held.length === 1);
    device.fake.last.socket.destroy();
    await asked;
    const end = await store.closed;
    assert.equal(end.kind, 'lost');
    await store.close();
  });

  it('that does not take a message refuses that one call', async (context) => {
    const { fake, transport } = await openDevice(context);
    const refusals: unknown[] = [];
    // Nobody reads, so it is not noticed otherwise that the other end has gone.
    fake.last.socket.destroy();
    await until('it is gone', () => fake.last.socket.closed);
    transport.send(
      encodeFrame({ operation: 'READ', requestId: 1, transactionId: 0, payload: Buffer.alloc(2) }),
      (why) => refusals.push(why),
    );
    await until('it is refused', () => refusals.length === 1);
    assert.match(String(refusals[0]), /EPIPE/);
  });

  it('that takes a part of a message refuses that one call: the rest must not be taken for another', async (context) => {
    const { fake, transport } = await openDevice(context);
    fake.last.socket.pause();
    const refusals: unknown[] = [];
    transport.send(Buffer.alloc(MORE_THAN_FITS), (why) => refusals.push(why));
    await until('it is refused', () => refusals.length === 1);
    assert.match(String(refusals[0]), new RegExp(`^Error: \\d+ of ${MORE_THAN_FITS} bytes were taken$`));
  });

  it('that is closed is not read any more, and may be closed again', async (context) => {
    const { fake, transport } = await openDevice(context);
    let isClosed = false;
    transport.start({
      onBytes: () => {
        if (isClosed) throw new Error('it was read');
      },
      onLost: () => {
        throw new Error('it is not lost');
      },
    });
    await transport.close();
    isClosed = true;
    await transport.close();
    transport.send(Buffer.alloc(16), ignore);
    await setImmediate();
    assert.equal(fake.requests.length, 0);
  });
});
