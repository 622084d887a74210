/** Protects what the doctor says of swap and of its stripes. */
import assert from 'node:assert/strict';
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { checkSwap, checkTier, plannedSwap, type SwapSeen } from '../../src/cli/doctor/memory.js';
import { known, unknown } from '../../src/control/signal.js';
import { mib, mibToPages } from '../../src/units.js';
import { writeRoot } from '../signals/proc-roots.js';

const HEADING = 'Filename\t\tType\t\tSize\t\tUsed\t\tPriority\n';
const size = (count: number): SwapSeen['total'] => known(mibToPages(mib(count)));
const dark = unknown('unreadable', 'too dark');

describe('the doctor on swap stripes', () => {
  it('knows one that is named by a link, for the kernel shows the device itself', (test) => {
    const root = writeRoot(test, { 'proc/swaps': HEADING });
    const device = join(root, 'device');
    const link = join(root, 'by-id');
    writeFileSync(device, '');
    symlinkSync(device, link);
    assert.equal(checkTier([link], root)[0]?.level, 'warn');
    writeFileSync(join(root, 'proc/swaps'), `${HEADING}${device} file 65536 0 5\n`);
    assert.deepEqual(checkTier([link], root), [
      { level: 'ok', what: `swap stripe ${link}: 0 MiB of 64 MiB used, priority 5`, advice: null },
    ]);
  });
});

describe('the doctor on a swap stripe that is not there', () => {
  it('fails: run would not start with nothing but such', (test) => {
    const root = writeRoot(test, { 'proc/swaps': HEADING });
    assert.equal(checkTier([join(root, 'nothing')], root)[0]?.level, 'fail');
  });
});

describe('the swap that run is going to switch on', () => {
  it('is that of the configured devices that are not on yet, as far as their sizes are known', (test) => {
    const root = writeRoot(test, {
      'proc/swaps': `${HEADING}/dev/zram1 partition 131068 0 5\n`,
      'sys/class/block/zram0/size': '262144\n',
      'sys/class/block/zram1/size': '262144\n',
      'sys/class/block/zram2/size': 'large\n',
    });
    const devices = [0, 1, 2, 3].map((n) => `/dev/zram${n}`);
    assert.equal(plannedSwap(devices, root), mibToPages(mib(128)));
    assert.equal(plannedSwap([], root), 0);
  });
});

describe('the doctor on swap', () => {
  const levelOf = (seen: Partial<SwapSeen>): string =>
    checkSwap({ total: size(200), swapTotal: size(200), current: dark, maximum: dark, ...seen }).level;

  it('fails without swap or without a word of it, warns of too little, and asks for as much as there may be memory', () => {
    assert.equal(levelOf({}), 'ok');
    assert.equal(levelOf({ swapTotal: size(199) }), 'warn');
    assert.equal(levelOf({ swapTotal: size(0) }), 'fail');
    assert.equal(levelOf({ swapTotal: dark }), 'fail');
    assert.equal(levelOf({ total: dark }), 'warn');
    assert.equal(levelOf({ total: dark, swapTotal: size(0) }), 'fail');
    assert.equal(levelOf({ current: size(220), maximum: size(221) }), 'warn');
  });
});
