/** The swap stripes on this machine's own kernel. It changes the machine's swap while it runs, so it is asked for by name. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import koffi from 'koffi';
import { known } from '../../src/control/signal.js';
import { realSwapCalls } from '../../src/overflow/swap-calls.js';
import { openSwapStripes } from '../../src/overflow/swap-stripes.js';
import { mib, mibToPages, millis, pages } from '../../src/units.js';

const skip =
  process.env['SELFBALLOON_TEST_REAL_SWAP'] === undefined &&
  'changes the swap of this machine: set SELFBALLOON_TEST_REAL_SWAP to a folder on a disk, and run it as root';

const prioritiesOf = (devices: readonly string[]): readonly (number | null)[] => {
  const lines = readFileSync('/proc/swaps', 'utf8').split('\n');
  return devices.map((device) => {
    const line = lines.find((candidate) => candidate.startsWith(`${device} `) || candidate.startsWith(`${device}\t`));
    return line === undefined ? null : Number(line.trim().split(/\s+/).at(-1));
  });
};

/** madvise(2): asks the kernel to swap these pages out now. Linux 5.4. */
const MADV_PAGEOUT = 21;

function pageOut(memory: Buffer): void {
  const madvise = koffi.load(null).func('madvise', 'int', ['uint64_t', 'size_t', 'int']);
  const start = (koffi.address(memory) / 4096n + 1n) * 4096n;
  assert.equal(madvise(start, memory.length - 8192, MADV_PAGEOUT), 0);
}

it('switches real stripes on, heals one that is missing, and empties one that holds pages', { skip }, async () => {
  const folder = mkdtempSync(join(process.env['SELFBALLOON_TEST_REAL_SWAP'] ?? '', 'stripes-'));
  const swap = realSwapCalls();
  const devices = ['a', 'b', 'c'].map((name) => join(folder, name));
  for (const device of devices) {
    writeFileSync(device, Buffer.alloc(16 * 1024 * 1024));
    chmodSync(device, 0o600);
    execFileSync('mkswap', [device], { stdio: 'ignore' });
  }
  const options = {
    devices,
    root: '/',
    reservePages: mibToPages(mib(64)),
    floorPages: () => known(pages(0)),
    swap,
    now: () => millis(performance.now()),
  };
  try {
    const first = await openSwapStripes(options);
    assert.deepEqual(prioritiesOf(devices), [102, 101, 100]);
    await first.close();

    await swap.swapOff(devices[1] ?? '');
    const second = await openSwapStripes(options);
    assert.deepEqual(prioritiesOf(devices), [102, 101, 100]);

    const held = Buffer.alloc(24 * 1024 * 1024, 1);
    pageOut(held);
    const before = await second.read();
    assert.ok(before.kind === 'present' && before.used > 4096, JSON.stringify(before));
    const said = await second.shrinkTo(pages(0), new AbortController().signal);
    console.log(said);
    const after = await second.read();
    assert.ok(after.kind === 'present');
    assert.ok(after.used < before.used / 2 && after.total === before.total, JSON.stringify(after));
    assert.deepEqual(prioritiesOf(devices), [102, 101, 100]);
    assert.equal(held[held.length - 1], 1);
    await second.close();
  } finally {
    for (const device of devices) await swap.swapOff(device).catch(() => null);
    rmSync(folder, { recursive: true });
  }
});
