/** Watches over a real socket: who is told of what, and until when. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { WatchEvent } from '../../src/xenstore/watch-queue.js';
import { watchEvent } from './support/fake-xenstored.js';
import { xenstoreError } from './support/frames.js';
import { connectTo, opened, until } from './support/opened.js';

const pathsOf = (events: readonly WatchEvent[]): readonly string[] => events.map(({ path }) => path);

describe('a watch', () => {
  it('is told once of its own path when it begins', async (context) => {
    const { store } = await opened(context);
    const events: WatchEvent[] = [];
    await store.watch('/not/there', (event) => void events.push(event));
    await until('the first event came', () => events.length > 0);
    assert.deepEqual(events, [{ kind: 'changed', path: '/not/there' }]);
  });

  it('is told of what changes below, whoever changes it, and of nothing else', async (context) => {
    const { fake, store } = await opened(context);
    const other = await connectTo(context, fake);
    const events: WatchEvent[] = [];
    await store.watch('/a', (event) => void events.push(event));
    await until('it has begun', () => events.length === 1);
    await other.write('/a/b/c', '1');
    await other.write('/ab', '1');
    await other.write('/z', '1');
    await store.write('/a', '2');
    await until('the last came', () => events.length === 3);
    assert.deepEqual(pathsOf(events), ['/a', '/a/b/c', '/a']);
  });

  it('of a relative path is told of relative paths', async (context) => {
    const { store } = await opened(context);
    const events: WatchEvent[] = [];
    await store.watch('memory', (event) => void events.push(event));
    await store.write('memory/target', '1');
    await until('both came', () => events.length === 2);
    assert.deepEqual(pathsOf(events), ['memory', 'memory/target']);
  });

  it('is told when what it watches goes with a parent', async (context) => {
    const { store } = await opened(context);
    await store.write('/a/b/c', '1');
    const events: WatchEvent[] = [];
    await store.watch('/a/b/c', (event) => void events.push(event));
    await until('it has begun', () => events.length === 1);
    await store.remove('/a');
    await until('it came', () => events.length === 2);
    assert.deepEqual(pathsOf(events), ['/a/b/c', '/a/b/c']);
  });

  it('can be of domains that come and go', async (context) => {
    const { fake, store } = await opened(context);
    const events: WatchEvent[] = [];
    await store.watch('@introduceDomain', (event) => void events.push(event));
    await store.watch('@releaseDomain', (event) => void events.push(event));
    await until('both have begun', () => events.length === 2);
    fake.fire('@releaseDomain');
    await until('it came', () => events.length === 3);
    assert.deepEqual(pathsOf(events), ['@introduceDomain', '@releaseDomain', '@releaseDomain']);
  });

  it('of the same path as another has a token of its own', async (context) => {
    const { fake, store } = await opened(context);
    const first: WatchEvent[] = [];
    const second: WatchEvent[] = [];
    const unwatch = await store.watch('/a', (event) => void first.push(event));
    await store.watch('/a', (event) => void second.push(event));
    await until('both have begun', () => first.length + second.length === 2);
    await unwatch();
    fake.fire('/a');
    await until('the second was told', () => second.length === 2);
    assert.equal(first.length, 1);
  });

  it('sees a transaction when it is committed, and not before', async (context) => {
    const { store } = await opened(context);
    const events: WatchEvent[] = [];
    await store.watch('/a', (event) => void events.push(event));
    await until('it has begun', () => events.length === 1);
    await store.transaction(async (inside) => {
      await inside.write('/a/1', '');
      await inside.write('/a/2', '');
      await store.read('/');
      assert.equal(events.length, 1);
    });
    await until('both came', () => events.length === 3);
    assert.deepEqual(pathsOf(events), ['/a', '/a/1', '/a/2']);
  });

  it('is told of nothing after it was ended, not even of what is on its way', async (context) => {
    const { fake, store } = await opened(context);
    const events: WatchEvent[] = [];
    const unwatch = await store.watch('/a', (event) => void events.push(event));
    await until('it has begun', () => events.length === 1);
    fake.fire('/a');
    const ended = unwatch();
    await ended;
    await unwatch();
    await store.write('/a', '1');
    await setImmediate();
    assert.equal(events.length, 1);
    assert.equal(fake.last.session.watches.length, 0);
    assert.equal(fake.requests.filter(({ operation }) => operation === 'UNWATCH').length, 1);
  });

  it('that xenstored refuses is refused, and its listener is never called', async (context) => {
    const { fake, store } = await opened(context);
    fake.world.watchesMax = 0;
    await assert.rejects(
      store.watch('/a', () => assert.fail('it was called')),
      xenstoreError('E2BIG', /WATCH of "\/a"/),
    );
  });

  it('that was given up on is taken back when xenstored has set it up after all', async (context) => {
    const { fake, store } = await opened(context);
    fake.isHolding = true;
    const stop = new AbortController();
    const watching = store.watch('/a', () => assert.fail('it was called'), { signal: stop.signal });
    await until('it is asked', () => fake.held.length === 1);
    stop.abort();
    await assert.rejects(watching, xenstoreError('ETIMEDOUT'));
    assert.equal(fake.last.session.watches.length, 1);
    fake.isHolding = false;
    fake.release();
    await until('it is taken back', () => fake.last.session.watches.length === 0);
  });

  it('that is gone at the other end already is ended all the same', async (context) => {
    const { fake, store } = await opened(context);
    const unwatch = await store.watch('/a', () => undefined);
    fake.last.session.watches.length = 0;
    await unwatch();
  });

  it('ends with the connection', async (context) => {
    const { store } = await opened(context);
    const events: WatchEvent[] = [];
    const unwatch = await store.watch('/a', (event) => void events.push(event));
    await store.close();
    await unwatch();
    const before = events.length;
    await setImmediate();
    assert.equal(events.length, before);
  });
});

describe('watches', () => {
  it('have a limit in number', async (context) => {
    const { store } = await opened(context, { watchesMax: 2 });
    const first = await store.watch('/a', () => undefined);
    await store.watch('/b', () => undefined);
    await assert.rejects(
      store.watch('/c', () => undefined),
      xenstoreError('EBUSY', /"\/c" is not watched/),
    );
    await first();
    await store.watch('/c', () => undefined);
  });

  it('that are told of more than there is room for learn of it, and go on', async (context) => {
    const { fake, store } = await opened(context, { eventsMax: 5 });
    const events: WatchEvent[] = [];
    let isStopped = true;
    await store.watch('/a', async (event) => {
      events.push(event);
      await until('it goes on', () => !isStopped);
    });
    await until('it has begun', () => events.length === 1);
    for (let index = 0; index < 100; index += 1) await store.write(`/a/${index}`, '');
    isStopped = false;
    await until('it was told', () => events.length >= 2);
    assert.deepEqual(events[1], { kind: 'overrun', path: '/a' });
    await until('the rest came', () => events.length >= 2);
    fake.fire('/a/after');
    await until('it was told again', () => pathsOf(events).includes('/a/after'));
  });

  it('tell what their listeners throw', async (context) => {
    const errors: unknown[] = [];
    const { store } = await opened(context, { onListenerError: (error) => errors.push(error) });
    await store.watch('/a', () => {
      throw new Error('mine');
    });
    await until('it was told', () => errors.length === 1);
    assert.equal(String(errors[0]), 'Error: mine');
    await store.write('/b', 'the connection goes on');
  });

  it('are not disturbed by events that belong to none of them', async (context) => {
    const { fake, store } = await opened(context);
    const events: WatchEvent[] = [];
    await store.watch('/a', (event) => void events.push(event));
    await until('it has begun', () => events.length === 1);
    fake.send(watchEvent('/a', 'nobody'), watchEvent('/a', ''), watchEvent('/a', '__proto__'));
    await store.write('/b', 'the connection goes on');
    assert.equal(events.length, 1);
  });
});
