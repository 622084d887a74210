/** Protects the real clock: it ends a wait when it should, without an error, and leaves nothing behind. */
import assert from 'node:assert/strict';
import { getEventListeners, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { RealClock } from '../../src/runtime/real-clock.js';
import { addMillis, millis } from '../../src/units.js';

const FAR = millis(3_600_000);

/** Timers count from when the event loop last looked at the time. */
const TIMER_EARLY_MS_MAX = 10;

/** Timers that hold the process open. */
const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

describe('the real clock', () => {
  it('never goes back', () => {
    const clock = new RealClock();
    let last = clock.now();
    for (let look = 0; look < 1_000; look += 1) {
      const now = clock.now();
      assert.ok(now >= last);
      last = now;
    }
  });

  it('has reached the time when a wait for it ends', async () => {
    const clock = new RealClock();
    const at = addMillis(clock.now(), millis(20));
    await clock.sleepUntil(at, new AbortController().signal);
    assert.ok(clock.now() >= at);
  });

  it('does not wait for a time that has passed, or with a signal that is aborted', async () => {
    const clock = new RealClock();
    await clock.sleepUntil(clock.now(), new AbortController().signal);
    await clock.sleepUntil(addMillis(clock.now(), FAR), AbortSignal.abort());
  });

  it('ends a wait when the signal is aborted, without an error, and its timer with it', async () => {
    const clock = new RealClock();
    const before = timers();
    const stopping = new AbortController();
    const waiting = clock.sleepUntil(addMillis(clock.now(), FAR), stopping.signal);
    assert.equal(timers(), before + 1);
    stopping.abort();
    await waiting;
    assert.equal(timers(), before);
  });

  it('waits also for a time that no single timer reaches', async () => {
    const clock = new RealClock();
    const stopping = new AbortController();
    const forever = clock.sleepUntil(millis(Number.MAX_SAFE_INTEGER), stopping.signal);
    const outcome = await Promise.race([
      forever.then(() => 'ended'),
      new Promise((resolve) => setTimeout(resolve, 20)),
    ]);
    assert.notEqual(outcome, 'ended');
    stopping.abort();
    await forever;
  });

  it('leaves no listener on a signal that outlives its waits', async () => {
    const clock = new RealClock();
    const { signal } = new AbortController();
    for (let wait = 0; wait < 3; wait += 1) await clock.sleepUntil(addMillis(clock.now(), millis(2)), signal);
    assert.deepEqual(getEventListeners(signal, 'abort'), []);
  });

  it('lets time limits of one length that begin together share a signal, which ends for none of them too early', async (test) => {
    const clock = new RealClock();
    assert.equal(clock.timeLimit(FAR), clock.timeLimit(FAR));
    assert.notEqual(clock.timeLimit(FAR), clock.timeLimit(millis(FAR - 1)));
    const length = millis(200);
    const begun = new Map<AbortSignal, number>();
    // Without an end if one that begins later had not its own.
    while (begun.size < 3) {
      const now = clock.now();
      begun.set(clock.timeLimit(length), now);
      await new Promise((resolve) => setImmediate(resolve));
    }
    // They hold no process open.
    const alive = setInterval(() => undefined, length);
    test.after(() => {
      clearInterval(alive);
    });
    for (const [signal, latest] of begun) {
      if (!signal.aborted) await once(signal, 'abort');
      assert.ok(clock.now() >= latest + length - TIMER_EARLY_MS_MAX);
    }
  });

  it('gives a time limit that all calls of a round may share, without a warning of a leak', async () => {
    const warnings: string[] = [];
    const onWarning = ({ name }: Error): void => void warnings.push(name);
    process.on('warning', onWarning);
    const limit = new RealClock().timeLimit(FAR);
    for (let call = 0; call < 200; call += 1) limit.addEventListener('abort', () => call, { once: true });
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', onWarning);
    assert.deepEqual(warnings, []);
  });

  it('aborts a time limit once its length has passed', async () => {
    const limit = new RealClock().timeLimit(millis(5));
    if (!limit.aborted) {
      // A time limit alone keeps no process alive.
      const alive = setInterval(() => undefined, 1_000);
      await new Promise((resolve) => {
        limit.addEventListener('abort', resolve, { once: true });
      });
      clearInterval(alive);
    }
    assert.equal(limit.aborted, true);
    assert.ok(limit.reason instanceof DOMException && limit.reason.name === 'TimeoutError');
  });

  it('has a timer that goes off once each time it is set, and never after it was cleared', async () => {
    const clock = new RealClock();
    const before = timers();
    let count = 0;
    await new Promise<void>((resolve) => {
      const timer = clock.timer(() => {
        count += 1;
        // The same length and another: the first is wound up again, the second is a timer of its own.
        if (count < 5) timer.set(millis(count < 3 ? 2 : 3));
        else resolve();
      });
      timer.set(millis(2));
    });
    assert.equal(count, 5);
    const never = clock.timer(() => (count += 1));
    never.set(millis(1));
    never.clear();
    never.set(FAR);
    assert.equal(timers(), before + 1);
    never.clear();
    await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(count, 5);
    assert.equal(timers(), before);
  });

  it('gathers what several sockets have brought by the time that the first of them is read', async (test) => {
    const folder = mkdtempSync(join(tmpdir(), 'selfballoon-gather-'));
    test.after(() => {
      rmSync(folder, { recursive: true });
    });
    const pairs = await Promise.all([0, 1, 2].map((n) => connectedPair(test, join(folder, String(n)))));
    let read = 0;
    const all = pairs.map(
      ({ near }) =>
        new Promise<number>((resolve) => {
          near.once('data', () => {
            read += 1;
            void new RealClock().gather().then(() => {
              resolve(read);
            });
          });
        }),
    );
    // Written at once: all three are ready before the event loop looks for the first time.
    for (const { far } of pairs) far.write('x');
    assert.deepEqual(await Promise.all(all), [3, 3, 3]);
  });
});

/** Both ends of a connection over the socket at `path`. They end with the test. */
async function connectedPair(
  test: TestContext,
  path: string,
): Promise<{ readonly near: Socket; readonly far: Socket }> {
  const server = createServer();
  server.listen(path);
  const near = createConnection(path);
  const [far] = (await once(server, 'connection')) as [Socket];
  test.after(() => {
    near.destroy();
    far.destroy();
    server.close();
  });
  return { near, far };
}
