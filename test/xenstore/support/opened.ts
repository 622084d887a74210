/** A client that speaks with a fake xenstored, both gone after the test. */
import { setImmediate } from 'node:timers/promises';
import type { TestContext } from 'node:test';
import { openXenstore, type Xenstore, type XenstoreOptions } from '../../../src/xenstore/client.js';
import { connectUnixSocket } from '../../../src/xenstore/unix-socket.js';
import { FakeXenstored } from './fake-xenstored.js';

/** For what must come in any case: a test that waits for it in vain ends by this. */
const PATIENCE_MS = 60_000;

export interface Opened {
  readonly fake: FakeXenstored;
  readonly store: Xenstore;
}

/** Without a limit of its own, so that no test depends on how fast the machine is. */
export async function opened(context: TestContext, options: Partial<XenstoreOptions> = {}): Promise<Opened> {
  const fake = await FakeXenstored.start(context);
  return { fake, store: await connectTo(context, fake, options) };
}

export async function connectTo(
  context: TestContext,
  fake: FakeXenstored,
  options: Partial<XenstoreOptions> = {},
): Promise<Xenstore> {
  const transport = await connectUnixSocket(fake.path, AbortSignal.timeout(PATIENCE_MS));
  const store = openXenstore({ transport, limitMs: PATIENCE_MS, ...options });
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
