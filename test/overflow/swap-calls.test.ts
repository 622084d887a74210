/** Protects how stripes are switched on and off: by whom, with which priority, and what is said where that fails. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { SelfballoonError } from '../../src/errors.js';
import { realSwapCalls, swapOnFlags, type SwapCalls } from '../../src/overflow/swap-calls.js';
import { temporaryFolder } from '../server/fakes.js';
import { describeSwapError } from '../../src/overflow/swap-errors.js';

const CAP_SYS_ADMIN = 2n ** 21n;

/** swapon(2) looks at the caller's right before it looks at the path, so what to expect depends on who runs this. */
function mayManageSwap(): boolean {
  const digits = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return digits !== undefined && (BigInt(`0x${digits}`) / CAP_SYS_ADMIN) % 2n === 1n;
}

async function codeOf(call: Promise<void>): Promise<string> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof SelfballoonError);
    return error.code;
  }
  return 'no error';
}

/** A tool that is this shell script. */
function toolOf(test: TestContext, script: string): string {
  const tool = join(temporaryFolder(test), 'swapoff');
  writeFileSync(tool, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return tool;
}

describe('swapoff', () => {
  it('is called by another process, which the kernel would kill for it, and not by this one', async (test) => {
    const said = join(temporaryFolder(test), 'said');
    await realSwapCalls(toolOf(test, `echo "$PPID $LC_ALL $*" > ${said}`)).swapOff('/dev/a stripe');
    assert.equal(readFileSync(said, 'utf8'), `${process.pid} C /dev/a stripe\n`);
  });

  it('that is killed has failed for want of memory', async (test) => {
    assert.equal(await codeOf(realSwapCalls(toolOf(test, 'kill -9 $$')).swapOff('/dev/a')), 'ENOMEM');
  });

  for (const [words, code] of [
    ['swapoff: /dev/a: swapoff failed: Cannot allocate memory', 'ENOMEM'],
    ['swapoff: /dev/a: swapoff failed: Invalid argument', 'EINVAL'],
    ['swapoff: /dev/a: swapoff failed: No such file or directory', 'ENOENT'],
    ['swapoff: Not superuser.', 'EPERM'],
    ["swapoff: can't open '/dev/a': Input/output error", 'EIO'],
  ] as const) {
    it(`that says “${words}” has failed with ${code}`, async (test) => {
      const tool = toolOf(test, `echo "${words}" >&2; exit 1`);
      assert.equal(await codeOf(realSwapCalls(tool).swapOff('/dev/a')), code);
    });
  }
});

describe('swapon(2) and swapoff(2), really called', () => {
  for (const tool of [undefined, '/nonexistent/swapoff']) {
    it(`give each its own error, however many run at once (${tool ?? 'with the tool'})`, async () => {
      await giveTheirErrors(realSwapCalls(tool));
    });
  }

  async function giveTheirErrors(swap: SwapCalls): Promise<void> {
    const missing = '/nonexistent/selfballoon-stripe';
    const noSwap = '/proc/self/status';
    const calls = Array.from({ length: 8 }, () => [
      swap.swapOn(missing, 5),
      swap.swapOff(missing),
      swap.swapOn(noSwap, 5),
      swap.swapOff(noSwap),
    ]).flat();
    const codes = await Promise.all(calls.map(codeOf));
    const each = mayManageSwap() ? ['ENOENT', 'ENOENT', 'EINVAL', 'EINVAL'] : ['EPERM', 'EPERM', 'EPERM', 'EPERM'];
    assert.deepEqual(codes, Array.from({ length: 8 }, () => each).flat());
  }

  it('refuses a priority that swapon would cut to 15 bits', async () => {
    assert.equal(await codeOf(realSwapCalls().swapOn('/nonexistent', 32_768)), 'EINVAL');
  });
});

describe('the flags of swapon(2)', () => {
  for (const [priority, flags] of [
    [0, 0x8000],
    [100, 0x8064],
    [32_767, 0xffff],
    [-1, 0],
    [-30, 0],
  ] as const) {
    it(`priority ${priority} is 0x${flags.toString(16)}`, () => {
      assert.equal(swapOnFlags(priority), flags);
    });
  }
});

describe('what a failed call says', () => {
  it('names the call, the device, the error and what to do', () => {
    const error = describeSwapError('swapon', '/dev/zram1', 'EINVAL');
    assert.equal(error.code, 'EINVAL');
    assert.match(error.message, /^swapon of \/dev\/zram1 failed: EINVAL\. Prepare it with: mkswap \/dev\/zram1/);
  });

  it('an error nobody expected is EIO, with the place to look', () => {
    const error = describeSwapError('swapoff', '/dev/zram1', 'EINTR');
    assert.equal(error.code, 'EIO');
    assert.match(error.message, /EINTR\. See the kernel log/);
  });
});
