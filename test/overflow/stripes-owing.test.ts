/** What the swap stripes owe from one call to the next, on a kernel made up of two files. */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { known } from '../../src/control/signal.js';
import { SelfballoonError } from '../../src/errors.js';
import { openSwapStripes, type SwapStripes } from '../../src/overflow/swap-stripes.js';
import { SELFSHRINK_START, selfshrinkStep } from '../../src/policies/selfshrink.js';
import { millis, pages } from '../../src/units.js';
import { StripeKernel } from './stripe-kernel.js';

const DEVICES = ['/dev/stripe-a', '/dev/stripe-b', '/dev/stripe-c', '/dev/stripe-d'];
const [A = '', , , D = ''] = DEVICES;
const RESERVE = 500;
const NEVER = new AbortController().signal;

let kernel: StripeKernel;
let stripes: SwapStripes;

/** Four stripes of 2000 pages each, A filled first. */
beforeEach(async () => {
  kernel = new StripeKernel(DEVICES.map((device, index) => [device, { used: 2000, priority: 13 - index }]));
  stripes = await openSwapStripes({
    devices: DEVICES,
    root: kernel.root,
    reservePages: pages(RESERVE),
    floorPages: () => known(pages(0)),
    swap: kernel,
    now: () => millis(kernel.now),
  });
});
afterEach(async () => {
  await stripes.close();
  rmSync(kernel.root, { recursive: true });
});

const shrinkTo = (to: number): Promise<string> => stripes.shrinkTo(pages(to), NEVER);

/** The guest swaps out (or faults in, below 0) `count` pages. */
function swapOut(device: string, count: number): void {
  const area = kernel.areas.get(device);
  assert.ok(area);
  area.used += count;
  kernel.show();
}

describe('swap stripes: what they owe', () => {
  it('add up from call to call until a stripe fits', async () => {
    assert.match(await shrinkTo(7200), /^left alone: 800 pages .* of 8000 pages .* owed .* holds 2000 pages/);
    assert.match(await shrinkTo(7200), /left alone: 1600 pages/);
    assert.deepEqual(kernel.calls, []);
    assert.match(await shrinkTo(7200), /emptied \/dev\/stripe-d: 2000 pages .*; 400 pages .* still owed/);
    assert.deepEqual(kernel.calls, [`off ${D}`, `on ${D} 10`]);
  });

  it('one call empties no further stripe once the tier holds what it asks for, whatever is owed from earlier', async () => {
    kernel.available = RESERVE;
    kernel.show();
    for (let call = 0; call < 20; call += 1) await shrinkTo(7600);
    kernel.available = 100_000;
    kernel.show();
    assert.match(await shrinkTo(7600), /emptied \/dev\/stripe-d.*hold 6000 pages.*; 6000 pages .* still owed/);
    assert.deepEqual(kernel.calls, [`off ${D}`, `on ${D} 10`]);
  });

  it('stay owed while memory is too little or not known', async () => {
    kernel.available = RESERVE + 1999;
    kernel.show();
    assert.match(await shrinkTo(6500), /left alone: 1500 pages/);
    assert.match(await shrinkTo(7500), /left alone: 2000 pages .* owed, and emptying a stripe needs 2000 pages/);
    writeFileSync(join(kernel.root, 'proc/meminfo'), 'MemTotal: 8000000 kB\n');
    assert.match(await shrinkTo(7900), /memory is not known .*; 2100 pages .* are owed/);
    kernel.available = RESERVE + 2000;
    kernel.show();
    assert.match(await shrinkTo(7999), /emptied \/dev\/stripe-d/);
    assert.equal(kernel.available, RESERVE);
  });

  it('are forgotten when the stripes have grown', async () => {
    await shrinkTo(6400);
    swapOut(A, 1);
    assert.match(await shrinkTo(7601), /left alone: 400 pages/);
  });

  it('are forgotten also when only a reading saw the growth', async () => {
    await shrinkTo(6400);
    swapOut(A, 50);
    await stripes.read();
    swapOut(A, -100);
    assert.match(await shrinkTo(7550), /left alone: 400 pages/);
  });

  it('are not changed by a look for people', async () => {
    await shrinkTo(6400);
    swapOut(A, 50);
    stripes.report();
    swapOut(A, -50);
    assert.match(await shrinkTo(7600), /emptied \/dev\/stripe-d/);
  });

  it('are forgotten when the guest swaps out while a stripe is emptied, and no other is begun', async () => {
    kernel.during = (call) => {
      if (call.startsWith('off')) swapOut(A, 3);
    };
    const said = await shrinkTo(0);
    assert.deepEqual(kernel.calls, [`off ${D}`, `on ${D} 10`]);
    assert.match(said, /emptied \/dev\/stripe-d.*; left alone: pages were swapped out meanwhile \(6003 pages/);
  });

  it('a reading in the middle of emptying is not a look: it sees pages that are on their way', async () => {
    kernel.during = async (call) => {
      if (!call.startsWith('off')) return;
      swapOut(D, -1500);
      await stripes.read();
      swapOut(D, 1500);
    };
    assert.match(await shrinkTo(5900), /emptied \/dev\/stripe-d.*left alone: 100 pages/);
  });

  it('a call that comes while a stripe is emptied adds nothing', async () => {
    const during: string[] = [];
    kernel.during = async (call) => {
      if (call.startsWith('off')) during.push(await shrinkTo(0));
    };
    assert.match(await shrinkTo(5900), /emptied \/dev\/stripe-d.*left alone: 100 pages/);
    assert.match(during.join(), /busy with \/dev\/stripe-d; this call adds nothing/);
  });

  it('pages that a failed swapoff brought home are counted', async () => {
    kernel.during = () => {
      swapOut(D, -700);
      kernel.during = () => undefined;
      throw new SelfballoonError({ code: 'ENOMEM', message: 'refused by the kernel' });
    };
    await assert.rejects(shrinkTo(5_900), /refused by the kernel/);
    // 2100 were asked for and 700 came: 1400 are owed, and D holds 1300 now.
    assert.match(await shrinkTo(7_299), /emptied \/dev\/stripe-d: 1300 pages .*; 101 pages .* still owed/);
  });
});

describe('swap stripes under the real law', () => {
  it('bring everything home from a quiet tier, never more than the law has asked for', async () => {
    let memory = SELFSHRINK_START;
    let asked = 0;
    for (let step = 0; step < 80; step += 1) {
      const reading = await stripes.read();
      assert.ok(reading.kind === 'present');
      const decided = selfshrinkStep(memory, reading.used, { frontswap_hysteresis: 20, frontswap_inertia: 3 });
      ({ memory } = decided);
      if (decided.shrinkTo === null) continue;
      asked += reading.used - decided.shrinkTo;
      await stripes.shrinkTo(decided.shrinkTo, NEVER);
      assert.ok(100_000 - kernel.available <= asked);
    }
    assert.deepEqual(await stripes.read(), { kind: 'present', used: 0, total: 4 * 8192 });
    assert.deepEqual(
      kernel.calls.filter((call) => call.startsWith('off')),
      DEVICES.toReversed().map((device) => `off ${device}`),
    );
  });
});
