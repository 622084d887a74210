import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { WatchQueue, WatchRoom, type WatchEvent, type WatchListener } from '../../src/xenstore/watch-queue.js';

interface Told {
  readonly queue: WatchQueue;
  readonly room: WatchRoom;
  readonly events: WatchEvent[];
  readonly errors: unknown[];
}

function told(most: number, listener: WatchListener = () => undefined): Told {
  const events: WatchEvent[] = [];
  const errors: unknown[] = [];
  const room = new WatchRoom(most);
  const queue = new WatchQueue({
    path: '/w',
    room,
    onError: (error) => errors.push(error),
    listener: (event) => {
      events.push(event);
      return listener(event);
    },
  });
  return { queue, room, events, errors };
}

const changed = (path: string): WatchEvent => ({ kind: 'changed', path });
const OVERRUN: WatchEvent = { kind: 'overrun', path: '/w' };

/** How many paths there is still room for. */
function left(room: WatchRoom): number {
  let count = 0;
  while (room.take()) count += 1;
  room.giveBack(count);
  return count;
}

describe('what waits for a listener', () => {
  it('is told in order, each path once, when the watch has begun', async () => {
    const { queue, events } = told(10);
    for (const path of ['/w', '/w/a', '/w', '/w/b', '/w/a']) queue.put(path);
    await setImmediate();
    assert.deepEqual(events, []);
    queue.begin();
    await setImmediate();
    assert.deepEqual(events, [changed('/w'), changed('/w/a'), changed('/w/b')]);
  });

  it('is told again when it changes after the listener was called', async () => {
    const { queue, events } = told(10);
    queue.begin();
    for (let round = 0; round < 3; round += 1) {
      queue.put('/w');
      await setImmediate();
    }
    assert.equal(events.length, 3);
  });

  it('waits until the listener has done with what came before', async () => {
    const ends: (() => void)[] = [];
    const { queue, events } = told(10, () => new Promise<void>((resolve) => ends.push(resolve)));
    queue.begin();
    for (const path of ['/w/a', '/w/b', '/w/c']) queue.put(path);
    for (const count of [1, 2, 3]) {
      await setImmediate();
      assert.equal(events.length, count);
      // It came in while the listener was at work, for the path that it works on: it must look again.
      if (count === 1) queue.put('/w/a');
      ends.shift()?.();
    }
    await setImmediate();
    assert.deepEqual(events.at(-1), changed('/w/a'));
    assert.equal(events.length, 4);
  });

  it('is never told from within the call that brings it', () => {
    const { queue, events } = told(10);
    queue.begin();
    queue.put('/w');
    assert.deepEqual(events, []);
  });

  it('goes on when the listener throws, or rejects', async () => {
    const { queue, events, errors } = told(10, (event) => {
      if (event.path === '/w/a') throw new Error('thrown');
      return event.path === '/w/b' ? Promise.reject(new Error('rejected')) : undefined;
    });
    queue.begin();
    for (const path of ['/w/a', '/w/b', '/w/c']) queue.put(path);
    await setImmediate();
    assert.equal(events.length, 3);
    assert.deepEqual(errors.map(String), ['Error: thrown', 'Error: rejected']);
  });

  it('is told no more after the end, also when the listener is at work', async () => {
    let finish = (): void => undefined;
    const { queue, events, room } = told(10, () => new Promise<void>((resolve) => (finish = resolve)));
    queue.begin();
    queue.put('/w/a');
    queue.put('/w/b');
    await setImmediate();
    queue.end();
    finish();
    await setImmediate();
    assert.deepEqual(events, [changed('/w/a')]);
    assert.equal(left(room), 10);
  });
});

describe('more than there is room for', () => {
  it('becomes one overrun, and the room is free again', async () => {
    const { queue, events, room } = told(3);
    for (let index = 0; index < 1000; index += 1) queue.put(`/w/${index}`);
    assert.equal(left(room), 3);
    queue.begin();
    await setImmediate();
    assert.deepEqual(events, [OVERRUN]);
    queue.put('/w/later');
    await setImmediate();
    assert.deepEqual(events, [OVERRUN, changed('/w/later')]);
  });

  it('of one watch leaves others their own', async () => {
    const flooded = told(4);
    const quiet: WatchEvent[] = [];
    const queue = new WatchQueue({
      path: '/q',
      room: flooded.room,
      onError: (error) => {
        throw error;
      },
      listener: (event) => void quiet.push(event),
    });
    queue.put('/q/kept');
    for (let index = 0; index < 10; index += 1) flooded.queue.put(`/w/${index}`);
    queue.begin();
    flooded.queue.begin();
    await setImmediate();
    assert.deepEqual(quiet, [changed('/q/kept')]);
    assert.deepEqual(flooded.events, [OVERRUN]);
  });

  it('never happens where a path changes a thousand times: that waits once', () => {
    const { queue, room } = told(2);
    for (let index = 0; index < 1000; index += 1) queue.put('/w/same');
    assert.equal(left(room), 1);
  });
});
