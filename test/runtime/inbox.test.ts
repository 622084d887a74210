/** Protects how the loop waits: for what comes first, for all that comes together, and leaving nothing behind. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { Event } from '../../src/control/events.js';
import type { Timer } from '../../src/control/ports.js';
import { Inbox } from '../../src/runtime/inbox.js';
import { VirtualClock } from '../../src/sim/index.js';
import { millis } from '../../src/units.js';

const eventOf = (guest: string): Event => ({ kind: 'guest-left', guest });
const NEVER = new AbortController().signal;

/** Gathers for as long as the test wants. */
class SlowClock extends VirtualClock {
  readonly gathering: (() => void)[] = [];

  override gather(): Promise<void> {
    return new Promise((resolve) => this.gathering.push(resolve));
  }
}

/** Its timers go off a millisecond before their time, once each time they are set. */
class HastyClock extends VirtualClock {
  override timer(run: () => void): Timer {
    const timer = super.timer(run);
    return {
      ...timer,
      set: (length) => {
        timer.set(millis(length > 1 ? length - 1 : length));
      },
    };
  }
}

/** Whether it has ended by now. */
async function hasEnded(waiting: Promise<void>): Promise<boolean> {
  let isOver = false;
  void waiting.then(() => (isOver = true));
  await setImmediate();
  return isOver;
}

describe('a wait of the loop', () => {
  it('ends with an event, and takes in what comes together with it', async () => {
    const clock = new SlowClock();
    const inbox = new Inbox(clock);
    const waiting = inbox.wait(null, NEVER);
    inbox.post(eventOf('one'));
    assert.equal(await hasEnded(waiting), false);
    inbox.post(eventOf('two'));
    clock.gathering[0]?.();
    await waiting;
    assert.deepEqual(inbox.take(), [eventOf('one'), eventOf('two')]);
    assert.equal(clock.gathering.length, 1);
  });

  it('is none where an event is there already', async () => {
    const inbox = new Inbox(new SlowClock());
    inbox.post(eventOf('one'));
    await inbox.wait(null, NEVER);
  });

  it('ends at its time, and gathers nothing then', async () => {
    const clock = new SlowClock();
    const waiting = new Inbox(clock).wait(millis(100), NEVER);
    await clock.advanceTo(millis(99));
    assert.equal(await hasEnded(waiting), false);
    await clock.advanceTo(millis(100));
    await waiting;
    assert.deepEqual(clock.gathering, []);
  });

  it('goes on when its timer goes off too early', async () => {
    const clock = new HastyClock();
    const waiting = new Inbox(clock).wait(millis(100), NEVER);
    await clock.advanceTo(millis(99));
    assert.equal(await hasEnded(waiting), false);
    await clock.advanceTo(millis(100));
    await waiting;
  });

  it('ends with its signal, and is none where that is aborted', async () => {
    const inbox = new Inbox(new VirtualClock());
    const stopping = new AbortController();
    const waiting = inbox.wait(null, stopping.signal);
    assert.equal(await hasEnded(waiting), false);
    stopping.abort();
    await waiting;
    await inbox.wait(null, stopping.signal);
  });

  it('leaves no timer and no listener behind', async () => {
    const clock = new VirtualClock();
    const inbox = new Inbox(clock);
    const { signal } = new AbortController();
    const waiting = inbox.wait(millis(1_000), signal);
    inbox.post(eventOf('one'));
    await waiting;
    assert.equal(clock.nextTimerAt, null);
    assert.deepEqual(getEventListeners(signal, 'abort'), []);
  });
});
