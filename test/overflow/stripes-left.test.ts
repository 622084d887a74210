/** Protects stripes that a daemon has left in hand: they are put back, and nobody else's decision is undone. */
import assert from 'node:assert/strict';
import { chownSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Field } from '../../src/control/signal.js';
import type { SwapStripes, SwapStripesOptions } from '../../src/overflow/swap-stripes.js';
import { openProcFile } from '../../src/signals/proc-file.js';
import { pages } from '../../src/units.js';
import { openStripesOn, StripeKernel } from './stripe-kernel.js';

const A = '/dev/stripe-a';
const B = '/dev/stripe-b';
const C = '/dev/stripe-c';
/** Not us. */
const NOBODY = 65_534;
const NEVER = new AbortController().signal;

let kernel: StripeKernel;
let opened: SwapStripes[] = [];

beforeEach(() => {
  kernel = new StripeKernel([
    [A, { used: 8000, priority: 12 }],
    [B, { used: 4000, priority: 11 }],
    [C, { used: 1000, priority: 10 }],
  ]);
  opened = [];
});
afterEach(async () => {
  for (const stripes of opened) await stripes.close();
  rmSync(kernel.root, { recursive: true });
});

async function open(more: Partial<SwapStripesOptions> = {}): Promise<SwapStripes> {
  const stripes = await openStripesOn(kernel, [A, B, C], more);
  opened.push(stripes);
  return stripes;
}

describe('a stripe that the tool of a killed daemon still empties', () => {
  it('is put back when it is off, and nothing else is emptied before', async () => {
    kernel.run('41', 'swapoff', C);
    const stripes = await open();
    await stripes.read();
    assert.equal(stripes.report()[2]?.state, 'leaving');
    assert.match(await stripes.shrinkTo(pages(0), NEVER), /left alone: \/dev\/stripe-c is not back yet/);
    assert.deepEqual(kernel.calls, []);
    kernel.end('41');
    kernel.areas.delete(C);
    kernel.show();
    await stripes.read();
    assert.deepEqual(kernel.calls, [`on ${C} 10`]);
    assert.equal(stripes.report()[2]?.state, 'on');
    assert.match(await stripes.shrinkTo(pages(0), NEVER), /emptied/);
  });

  it('is on where the tool gives up, and whoever switches it off later is heeded', async () => {
    kernel.run('41', '/usr/sbin/swapoff', C);
    const stripes = await open();
    kernel.end('41');
    await stripes.read();
    assert.equal(stripes.report()[2]?.state, 'on');
    kernel.areas.delete(C);
    kernel.show();
    await stripes.read();
    assert.deepEqual([kernel.calls, stripes.report()[2]?.state], [[], 'off']);
  });

  it('is put back all the same where the tool ends while we look', async () => {
    kernel.run('41', 'swapoff', C);
    let looks = 0;
    const stripes = await open({
      openFile: (path) => {
        const file = openProcFile(path);
        const read = (): Field<string> => {
          looks += 1;
          const before = file.read();
          kernel.end('41');
          if (looks > 1 && kernel.areas.delete(C)) kernel.show();
          return before;
        };
        return {
          ...file,
          read,
          close: () => {
            file.close();
          },
        };
      },
    });
    for (let look = 0; look < 3; look += 1) await stripes.read();
    assert.deepEqual(kernel.calls, [`on ${C} 10`]);
  });

  it('is not one that other programs only name', async () => {
    kernel.run('41', 'vi', C);
    kernel.run('42', 'swapoff', '/dev/other');
    kernel.run('43', '/bin/sh', '-c', `swapoff ${C}`);
    if (process.geteuid?.() === 0) {
      kernel.run('44', 'swapoff', C);
      chownSync(join(kernel.root, 'proc/44'), NOBODY, NOBODY);
    }
    const stripes = await open();
    assert.deepEqual(
      stripes.report().map(({ state }) => state),
      ['on', 'on', 'on'],
    );
  });
});
