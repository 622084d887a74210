/** Protects a connection from being given up without need: only where no answer comes is it lost, and it is asked one thing at a time. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { attend } from '../../../src/hypervisors/xen-host/attended-store.js';
import { VirtualClock } from '../../../src/sim/index.js';
import { XenstoreError, type XenstoreCode } from '../../../src/xenstore/errors.js';
import type { Xenstore } from '../../../src/xenstore/index.js';

/** Pings a connection that answers like this; what it was told. */
async function pinged(answer: () => Promise<boolean>, times = 1): Promise<readonly string[]> {
  const told: string[] = [];
  const store = {
    isDomainIntroduced: () => {
      told.push('asked');
      return answer();
    },
    close: (why?: XenstoreError) => {
      told.push(`closed: ${why?.message ?? ''}`);
      return Promise.resolve();
    },
  } as unknown as Xenstore;
  const { ping } = attend(store, new VirtualClock());
  for (let count = 0; count < times; count += 1) ping();
  await setImmediate();
  return told;
}

const failing = (xenstoreCode: XenstoreCode) => () =>
  Promise.reject(new XenstoreError({ xenstoreCode, message: 'a test' }));

describe('a connection that is attended to', () => {
  it('is ended with the reason where no answer comes, and by no other word', async () => {
    assert.match((await pinged(failing('ETIMEDOUT'))).join(), /^asked,closed: xenstored has not answered for 5 s/);
    for (const code of ['EIO', 'EACCES', 'EBUSY', 'EUNAVAILABLE'] as const) {
      assert.deepEqual(await pinged(failing(code)), ['asked'], code);
    }
  });

  it('is asked nothing more while an answer is awaited', async () => {
    assert.deepEqual(await pinged(() => new Promise(() => undefined), 3), ['asked']);
  });
});
