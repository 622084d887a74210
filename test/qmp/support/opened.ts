/** A client that speaks with a fake QEMU, both gone after the test. */
import type { TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { connectQmp, type Qmp, type QmpArguments, type QmpError, type QmpOptions } from '../../../src/qmp/index.js';
import { VirtualClock } from '../../../src/sim/index.js';
import { rejection } from './failures.js';
import { FakeQemu } from './fake-qemu.js';

/** For what must come in any case: a test that waits for it in vain ends by this. */
const PATIENCE_MS = 60_000;

/** Aborted when a test has waited for too long. */
export const patience = (): AbortSignal => AbortSignal.timeout(PATIENCE_MS);

export interface Opened {
  readonly fake: FakeQemu;
  readonly qmp: Qmp;
  /** Stands still, so that no test depends on how fast the machine is. */
  readonly clock: VirtualClock;
}

export async function opened(context: TestContext, options: Partial<QmpOptions> = {}): Promise<Opened> {
  const fake = await FakeQemu.start(context);
  const clock = new VirtualClock();
  return { fake, clock, qmp: await connectTo(context, fake, { clock, ...options }) };
}

export async function connectTo(context: TestContext, fake: FakeQemu, options: QmpOptions): Promise<Qmp> {
  const qmp = await connectQmp(fake.path, options, patience());
  context.after(() => qmp.close());
  return qmp;
}

/** Lets both ends run until `isSo`. */
export async function until(what: string, isSo: () => boolean): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (performance.now() < end) {
    if (isSo()) return;
    await setImmediate();
  }
  throw new Error(`it never came about that ${what}`);
}

/** Asks the same again and again, until it is not sent any more. Gives what became of each, the last to be refused. */
export async function askUntilFull(
  qmp: Qmp,
  command: string,
  args: QmpArguments,
): Promise<readonly Promise<QmpError>[]> {
  const calls: Promise<QmpError>[] = [];
  let refused = 0;
  while (refused === 0) {
    if (calls.length > 10_000) throw new Error('it takes more and more');
    const call = rejection(qmp.execute(command, args));
    void call.then(({ qmpCode }) => (refused += qmpCode === 'EBUSY' ? 1 : 0));
    calls.push(call);
    await setImmediate();
  }
  return calls;
}
