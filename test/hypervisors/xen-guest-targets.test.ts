/** A write of the balloon's target cannot be stopped once it is begun. Protects that the newest target asked for wins all the same. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, describe, it } from 'node:test';
import { promisify } from 'node:util';
import fc from 'fast-check';
import type { Hypervisor } from '../../src/control/ports.js';
import { HypervisorError } from '../../src/errors.js';
import { openXenGuest } from '../../src/hypervisors/xen-guest/client.js';
import { guestSize, millis, mib, mibToPages } from '../../src/units.js';
import { fixture } from '../support/paths.js';
import { useSeed } from '../support/seed.js';

useSeed();

const ID = 'xen-guest/web-1';
const NEVER = new AbortController().signal;
const root = mkdtempSync(join(tmpdir(), 'xen-targets-'));
cpSync(fixture('xen-guest'), root, { recursive: true });
after(() => {
  rmSync(root, { recursive: true });
});

/** The driver: what was written last wins. Every write waits until it is let go, and may fail. */
class SlowDriver {
  readonly landed: string[] = [];
  readonly held: { readonly text: string; readonly settle: (error: Error | null) => void }[] = [];
  underWay = 0;
  mostAtOnce = 0;

  readonly setAttribute = (_path: string, text: string): Promise<string> => {
    this.underWay += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.underWay);
    return new Promise((resolve, reject) => {
      const settle = (error: Error | null): void => {
        this.underWay -= 1;
        if (error !== null) {
          reject(error);
          return;
        }
        this.landed.push(text.trim());
        resolve(text);
      };
      this.held.push({ text, settle });
    });
  };

  async letGo(error: Error | null = null): Promise<void> {
    this.held.shift()?.settle(error);
    await turn();
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const failsWith =
  (code: string, text: RegExp) =>
  (error: unknown): boolean =>
    error instanceof HypervisorError && error.code === code && text.test(error.message);

let driver: SlowDriver;
let guest: Hypervisor;
let closing: AbortController;

beforeEach(() => {
  driver = new SlowDriver();
  closing = new AbortController();
  guest = openXenGuest({
    root,
    now: () => millis(0),
    tier: null,
    setAttribute: driver.setAttribute,
    timeLimit: () => closing.signal,
  });
});

afterEach(() => guest.close());

const set = (size: number, signal = NEVER): Promise<void> =>
  guest.setTarget(ID, guestSize(mibToPages(mib(size))), signal);
const kib = (size: number): string => String(size * 1024);

describe('a target of which the driver takes a part', () => {
  it('is an error: a shorter number is another size', async (test) => {
    const folder = mkdtempSync(join(tmpdir(), 'xen-short-'));
    test.after(() => {
      rmSync(folder, { recursive: true });
    });
    const [script, attribute] = [join(folder, 'script.mjs'), join(folder, 'target_kb')];
    writeFileSync(attribute, '');
    // No file of the program's may get longer than so many KiB: the kernel takes what fits.
    const [limitKib, length] = [1, 3_000];
    const lines = [
      `import { setAttribute } from ${JSON.stringify(new URL('../../src/hypervisors/xen-guest/target-file.js', import.meta.url).href)};`,
      `const answer = await setAttribute(${JSON.stringify(attribute)}, '1'.repeat(${length})).catch(String);`,
      `process.stdout.write(answer);`,
    ];
    writeFileSync(script, lines.join('\n'));
    const limited = `ulimit -f ${limitKib}; exec "$0" "$1"`;
    const { stdout } = await promisify(execFile)('bash', ['-c', limited, process.execPath, script]);
    assert.equal(stdout, `Error: ${limitKib * 1024} of ${length} bytes were taken`);
  });
});

describe('a Xen guest: several targets at once', () => {
  it('a write that ran out of time and lands late does not undo the release', async () => {
    const limit = new AbortController();
    const squeezed = set(128, limit.signal);
    limit.abort();
    await assert.rejects(squeezed, failsWith('ETIMEDOUT', /to 131072 KiB was not finished in time/));
    const released = set(256);
    await turn();
    assert.equal(driver.held.length, 1);
    await driver.letGo();
    await driver.letGo();
    await released;
    assert.deepEqual(driver.landed, [kib(128), kib(256)]);
  });

  it('the release is written although the one who asked for it has given up as well', async () => {
    const limit = new AbortController();
    const both = [set(128, limit.signal), set(256, limit.signal)];
    limit.abort();
    for (const asked of both) await assert.rejects(asked, failsWith('ETIMEDOUT', /not finished in time/));
    await driver.letGo();
    await driver.letGo();
    assert.deepEqual(driver.landed, [kib(128), kib(256)]);
  });

  it('of those that come during a write only the newest is written, and the others are told so', async () => {
    const first = set(100);
    const second = assert.rejects(
      set(110),
      failsWith('EUNAVAILABLE', /not written: a newer one, 122880 KiB, was asked/),
    );
    const third = set(120);
    await second;
    await driver.letGo();
    await first;
    await driver.letGo();
    await third;
    assert.deepEqual(driver.landed, [kib(100), kib(120)]);
  });

  it('a write that fails does not keep the next one from being written', async () => {
    const first = assert.rejects(set(100), failsWith('EIO', /broken/));
    const second = set(120);
    await driver.letGo(new Error('broken'));
    await first;
    await driver.letGo();
    await second;
    assert.deepEqual(driver.landed, [kib(120)]);
  });

  it('closing waits until the newest has landed', async () => {
    const limit = new AbortController();
    const both = [set(128, limit.signal), set(256, limit.signal)].map((asked) => assert.rejects(asked));
    limit.abort();
    await Promise.all(both);
    let isClosed = false;
    const closed = guest.close().then(() => (isClosed = true));
    await driver.letGo();
    assert.equal(isClosed, false);
    await driver.letGo();
    await closed;
    assert.deepEqual(driver.landed, [kib(128), kib(256)]);
  });

  it('closing waits no longer than its limit, says so, and the newest is still written when it can be', async () => {
    const limit = new AbortController();
    const both = [set(128, limit.signal), set(256, limit.signal)].map((asked) => assert.rejects(asked));
    limit.abort();
    await Promise.all(both);
    const closed = guest.close();
    closing.abort();
    await assert.rejects(closed, failsWith('ETIMEDOUT', /target_kb has not come back.*selfballoon release/));
    await driver.letGo();
    await driver.letGo();
    assert.deepEqual(driver.landed, [kib(128), kib(256)]);
  });

  it('in any order of asking, giving up, landing and failing, one write at a time, and the newest asked for is the last', async () => {
    const move = fc.constantFrom('ask', 'ask-and-give-up', 'land', 'fail');
    await fc.assert(
      fc.asyncProperty(fc.array(move, { maxLength: 40 }), async (moves) => {
        const slow = new SlowDriver();
        const own = openXenGuest({ root, now: () => millis(0), tier: null, setAttribute: slow.setAttribute });
        const answers: Promise<unknown>[] = [];
        let newest = 0;
        for (const [at, what] of moves.entries()) {
          if (what === 'land' || what === 'fail') await slow.letGo(what === 'land' ? null : new Error('broken'));
          else {
            newest = at + 1;
            const limit = new AbortController();
            const asked = own.setTarget(ID, guestSize(mibToPages(mib(newest))), limit.signal);
            answers.push(asked.catch((error: unknown) => error));
            if (what === 'ask-and-give-up') limit.abort();
          }
        }
        const last: string[] = [];
        while (slow.held.length > 0) {
          last.push(slow.held[0]?.text.trim() ?? '');
          await slow.letGo();
        }
        await Promise.all(answers);
        await own.close();
        assert.ok(slow.mostAtOnce <= 1);
        if (last.length > 0) assert.equal(last.at(-1), kib(newest));
      }),
      { numRuns: 50 },
    );
  });
});
