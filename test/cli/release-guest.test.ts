/** Protects that a guest whose daemon was killed gets everything back without one: its memory, and the swap stripes that were in hand. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { releaseGuest, type ReleaseGuestOptions } from '../../src/cli/commands/release-guest.js';
import { loadText } from '../config/temporary-file.js';
import { until } from './support/program.js';
import { XenGuestRoot } from './xen-guest-root.js';

const A = '/dev/stripe-a';
const B = '/dev/stripe-b';
const WHOLE = '262144';
const SMALLER_KIB = '131072';

/** A guest that was made smaller and nobody drives, with those of its stripes on. */
function abandoned(test: TestContext, ...on: readonly string[]): XenGuestRoot {
  const root = new XenGuestRoot(test);
  for (const device of on) root.on.add(device);
  root.show();
  for (const attribute of ['target_kb', 'info/current_kb', 'info/low_kb'])
    root.putBalloon(attribute, `${SMALLER_KIB}\n`);
  return root;
}

interface Asked {
  readonly isDryRun?: boolean;
  readonly devices?: readonly string[];
  readonly timeLimit?: ReleaseGuestOptions['timeLimit'];
}

async function release(test: TestContext, root: XenGuestRoot, asked: Asked = {}) {
  const { isDryRun = false, devices = [A, B], timeLimit } = asked;
  const { config } = await loadText(
    test,
    `dry_run = ${String(isDryRun)}
    [overflow]
    devices = ${JSON.stringify([A, B])}
    [xen_guest]
    root = ${JSON.stringify(root.path)}`,
  );
  const warned: string[] = [];
  const said = await releaseGuest(
    { ...config, overflow: { ...config.overflow, devices } },
    { warn: (text) => warned.push(text), swapCalls: root, ...(timeLimit === undefined ? {} : { timeLimit }) },
  ).catch(String);
  return { said, warned };
}

describe('giving back without a daemon', () => {
  it('switches a stripe on that was off, after the balloon was told', async (test) => {
    const root = abandoned(test, A);
    const { said, warned } = await release(test, root);
    assert.equal(root.target.trim(), WHOLE);
    assert.deepEqual(root.calls, [`on ${B}`]);
    assert.match(said, /give everything back, up to 256 MiB; swap stripes were switched on again: \/dev\/stripe-b$/);
    assert.deepEqual(warned, []);
  });

  it('leaves stripes alone that are on', async (test) => {
    const root = abandoned(test, A, B);
    const { said } = await release(test, root);
    assert.deepEqual(root.calls, []);
    assert.match(said, /up to 256 MiB$/);
  });

  it('waits for one that the tool of the killed daemon still empties', async (test) => {
    const root = abandoned(test, A, B);
    const process = join(root.path, 'proc', '41');
    mkdirSync(process, { recursive: true });
    writeFileSync(join(process, 'comm'), 'swapoff\n');
    writeFileSync(join(process, 'cmdline'), `swapoff\0${B}\0`);
    const releasing = release(test, root);
    await until('it has its memory', () => root.target.trim() === WHOLE);
    // Long enough for several looks at the stripes after it.
    await sleep(700);
    assert.deepEqual(root.calls, []);
    rmSync(process, { recursive: true });
    root.on.delete(B);
    root.show();
    const { said } = await releasing;
    assert.match(said, /switched on again: \/dev\/stripe-b$/);
    assert.deepEqual([...root.on], [A, B]);
  });

  it('tells of one that cannot be switched on, and gives the memory back all the same', async (test) => {
    const root = abandoned(test, A);
    root.broken.add(B);
    const { said, warned } = await release(test, root);
    assert.equal(root.target.trim(), WHOLE);
    assert.match(said, /up to 256 MiB$/);
    assert.match(warned.join(), /swap stripe \/dev\/stripe-b: swapon of \/dev\/stripe-b failed: ENOENT/);
  });

  it('sees to the stripes also where the balloon cannot be told', async (test) => {
    const root = abandoned(test);
    rmSync(join(root.path, 'sys'), { recursive: true });
    const { said } = await release(test, root);
    assert.match(said, /Error/);
    assert.deepEqual([...root.on], [A, B]);
  });

  it('says what it did to the balloon also where the stripes cannot be', async (test) => {
    const root = abandoned(test, A);
    const { said, warned } = await release(test, root, { devices: [A, A] });
    assert.match(said, /up to 256 MiB$/);
    assert.match(warned.join(), /stripe-a is named twice/);
  });

  it('changes nothing in a dry run', async (test) => {
    const root = abandoned(test, A);
    await release(test, root, { isDryRun: true });
    assert.equal(root.target.trim(), SMALLER_KIB);
    assert.deepEqual(root.calls, []);
  });
});

/**
 * Of 256 MiB; a step is so small that no way of its balloon comes to its end in a test, and so large that a balloon that has made one since
 * the last look is not taken for one at rest.
 */
const WHOLE_KIB = 262_144;
const STEP_KIB = 20;
const STEP_MS = 10;

/** A balloon on its way from `fromKib`, until it is stopped where it is; one that `ignores` that goes on all the same. */
function moving(test: TestContext, { fromKib, targetKib, ignores = false }: Way): XenGuestRoot {
  const root = new XenGuestRoot(test);
  root.putBalloon('target_kb', `${targetKib}\n`);
  let current = fromKib;
  const step = (): void => {
    // It is empty while it is being written.
    const target = Number(root.target.trim() || current);
    current += STEP_KIB * Math.sign((ignores ? targetKib : target) - current);
    root.putBalloon('info/current_kb', root.isUnreadable ? 'much\n' : `${current}\n`);
    root.putBalloon('info/low_kb', `${WHOLE_KIB - current}\n`);
  };
  step();
  const timer = setInterval(step, STEP_MS);
  test.after(() => {
    clearInterval(timer);
  });
  return root;
}

const stopped = (root: XenGuestRoot, targetKib: number): Promise<void> =>
  until('the balloon is stopped', () => !['', `${targetKib}`].includes(root.target.trim()));

interface Way {
  readonly fromKib: number;
  readonly targetKib: number;
  readonly ignores?: boolean;
}

describe('giving back without a daemon while the balloon moves', () => {
  for (const [way, fromKib, targetKib] of [
    ['up', 100_000, 200_000],
    ['down', 200_000, 100_000],
  ] as const) {
    it(`stops it on its way ${way}, for its counts add up only at rest, and gives everything back`, async (test) => {
      const root = moving(test, { fromKib, targetKib });
      const { said } = await release(test, root);
      assert.match(said, /give everything back, up to 256 MiB/);
      assert.equal(root.target.trim(), WHOLE);
    });
  }

  it('leaves it with what it had been told where it does not come to rest in time', async (test) => {
    const root = moving(test, { fromKib: 100_000, targetKib: 200_000, ignores: true });
    const limits: AbortController[] = [];
    const timeLimit = (): AbortSignal => {
      const limit = new AbortController();
      limits.push(limit);
      return limit.signal;
    };
    const releasing = release(test, root, { timeLimit });
    await stopped(root, 200_000);
    // It has read back what it wrote, and looks again in 200 ms.
    await sleep(100);
    limits[0]?.abort();
    const { said } = await releasing;
    assert.match(said, /cannot give memory back, .*before it rests/);
    assert.equal(root.target.trim(), '200000');
  });

  it('leaves it with what it had been told where what it holds cannot be read any more', async (test) => {
    const root = moving(test, { fromKib: 100_000, targetKib: 200_000, ignores: true });
    const releasing = release(test, root);
    await stopped(root, 200_000);
    root.isUnreadable = true;
    const { said } = await releasing;
    assert.match(said, /cannot give memory back/);
    assert.equal(root.target.trim(), '200000');
  });

  it('leaves it larger than it had been told where it was on its way down', async (test) => {
    const root = moving(test, { fromKib: 200_000, targetKib: 100_000, ignores: true });
    const releasing = release(test, root);
    await stopped(root, 100_000);
    root.isUnreadable = true;
    await releasing;
    assert.ok(Number(root.target.trim()) > 150_000);
  });
});
