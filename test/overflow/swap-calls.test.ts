import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { SelfballoonError } from '../../src/errors.js';
import { realSwapCalls, swapOnFlags } from '../../src/overflow/swap-calls.js';
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

describe('swapon(2) and swapoff(2), really called', () => {
  it('each call gives its own error number, however many run at once', async () => {
    const swap = realSwapCalls();
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
  });

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
