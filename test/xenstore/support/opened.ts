/** A client that speaks with a fake xenstored, in virtual time, both gone after the test. */
import { setImmediate } from 'node:timers/promises';
import type { TestContext } from 'node:test';
import { VirtualClock } from '../../../src/sim/index.js';
import { millis } from '../../../src/units.js';
import { openXenstore, type Xenstore, type XenstoreOptions } from '../../../src/xenstore/client.js';
import { connectUnixSocket } from '../../../src/xenstore/unix-socket.js';
import { FakeXenstored } from './fake-xenstored.js';

/** For what must come in any case: a test that waits for it in vain ends by this. */
const PATIENCE_MS = 60_000;
/** Longer than a transaction pauses between two attempts, and shorter than any time limit. */
const PAUSE_MS_MAX = 100;

export interface Opened {
  readonly fake: FakeXenstored;
  readonly store: Xenstore;
  readonly clock: VirtualClock;
}

/** Its time stands still, so that no test depends on how fast the machine is. */
export async function opened(context: TestContext, options: Partial<XenstoreOptions> = {}): Promise<Opened> {
  const fake = await FakeXenstored.start(context);
  const clock = new VirtualClock();
  return { fake, clock, store: await connectTo(context, fake, { clock, ...options }) };
}

export async function connectTo(
  context: TestContext,
  fake: FakeXenstored,
  options: Partial<XenstoreOptions> = {},
): Promise<Xenstore> {
  const transport = await connectUnixSocket(fake.path, AbortSignal.timeout(PATIENCE_MS));
  const store = openXenstore({ transport, clock: new VirtualClock(), ...options });
  context.after(() => store.close());
  return store;
}

/** Lets both ends run until `isSo`. */
export async function until(what: string, isSo: () => boolean): Promise<void> {
  const until = performance.now() + PATIENCE_MS;
  while (performance.now() < until) {
    if (isSo()) return;
    await setImmediate();
  }
  throw new Error(`it never came about that ${what}`);
}

/** Settles as `work` does. The pauses that it makes pass, and no time limit does. */
export async function throughPauses<T>(clock: VirtualClock, work: Promise<T>): Promise<T> {
  const settled = new AbortController();
  const settle = (): void => {
    settled.abort();
  };
  work.then(settle, settle);
  while (!settled.signal.aborted) {
    await setImmediate();
    const next = clock.nextTimerAt;
    if (next !== null && next - clock.now() <= PAUSE_MS_MAX) await clock.advanceTo(millis(next));
  }
  return work;
}
