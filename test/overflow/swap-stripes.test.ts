import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { known, unknown } from '../../src/control/signal.js';
import { SelfballoonError } from '../../src/errors.js';
import type { SwapStripes, SwapStripesOptions } from '../../src/overflow/swap-stripes.js';
import { openProcFile } from '../../src/signals/proc-file.js';
import { pages } from '../../src/units.js';
import { openStripesOn, StripeKernel, type Area } from './stripe-kernel.js';

const A = '/dev/stripe-a';
const B = '/dev/stripe-b';
const C = '/dev/stripe-c';
const NEVER = new AbortController().signal;

const THREE: readonly (readonly [string, Area])[] = [
  [A, { used: 8000, priority: 12 }],
  [B, { used: 4000, priority: 11 }],
  [C, { used: 1000, priority: 10 }],
];

let kernel: StripeKernel;
let opened: SwapStripes[] = [];

beforeEach(() => {
  kernel = new StripeKernel(THREE.map(([device, area]) => [device, { ...area }]));
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

const refuse = (code: 'EIO' | 'ENOMEM' = 'EIO'): never => {
  throw new SelfballoonError({ code, message: 'refused by the kernel' });
};

const failsWith =
  (code: string, text: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof SelfballoonError);
    assert.equal(error.code, code);
    assert.match(error.message, text);
    return true;
  };

describe('swap stripes: what they hold', () => {
  it('adds up the stripes that are on, in pages', async () => {
    const stripes = await open();
    assert.deepEqual(await stripes.read(), { kind: 'present', used: 13_000, total: 3 * 8192 });
    assert.deepEqual(kernel.calls, []);
  });

  it('does not count swap that is not one of its stripes', async () => {
    kernel.areas.set('/dev/disk', { used: 77, priority: -2 });
    kernel.show();
    assert.deepEqual(await (await open()).read(), { kind: 'present', used: 13_000, total: 3 * 8192 });
  });

  it('reports a stripe that somebody else switched off, and leaves it off', async () => {
    const stripes = await open();
    kernel.areas.delete(B);
    kernel.show();
    assert.deepEqual(await stripes.read(), { kind: 'present', used: 9_000, total: 2 * 8192 });
    await stripes.shrinkTo(pages(8_000), NEVER);
    assert.deepEqual(stripes.report()[1], { device: B, state: 'off', used: null, error: null });
    assert.ok(!kernel.calls.some((call) => call.includes(B)));
  });

  it('is absent, with the reason, when nothing is on or nothing is known', async () => {
    kernel.areas.clear();
    kernel.show();
    kernel.during = () => refuse();
    const stripes = await open();
    const reading = await stripes.read();
    assert.equal(reading.kind, 'absent');
    assert.match(reading.why, /none of the swap stripes is switched on; refused by the kernel/);
    rmSync(join(kernel.root, 'proc/swaps'));
    assert.equal((await stripes.read()).kind, 'absent');
    assert.equal(stripes.report()[0]?.state, 'unknown');
  });

  it('refuses a list of devices that cannot be', async () => {
    for (const devices of [[], ['zram0'], [A, A]]) {
      await assert.rejects(open({ devices }), failsWith('ECONFIG', /swap stripes/));
    }
  });
});

describe('swap stripes: shrinking', () => {
  it('empties the last one filled, puts it back with its priority, and says how long it took', async () => {
    const stripes = await open();
    const said = await stripes.shrinkTo(pages(12_000), NEVER);
    assert.deepEqual(kernel.calls, [`off ${C}`, `on ${C} 10`]);
    assert.match(said, /emptied \/dev\/stripe-c: 1000 pages \(3\.9 MiB\) in 1\.50 s/);
    assert.match(said, /hold 12000 pages/);
  });

  it('goes on to the next until none fits', async () => {
    const said = await (await open()).shrinkTo(pages(5_000), NEVER);
    assert.deepEqual(kernel.calls, [`off ${C}`, `on ${C} 10`, `off ${B}`, `on ${B} 11`]);
    assert.match(said, /left alone: 3000 pages .* of 8000 pages .* owed so far/);
  });

  it('brings everything home for a target of 0', async () => {
    const stripes = await open();
    await stripes.shrinkTo(pages(0), NEVER);
    assert.deepEqual(await stripes.read(), { kind: 'present', used: 0, total: 3 * 8192 });
  });

  it('lets the kernel number a stripe again that it had numbered itself', async () => {
    kernel.areas.set(C, { used: 1000, priority: -3 });
    kernel.show();
    await (await open()).shrinkTo(pages(12_000), NEVER);
    assert.deepEqual(kernel.calls, [`off ${C}`, `on ${C} -3`]);
  });

  it('leaves everything alone when memory would fall below reserve and floor', async () => {
    kernel.available = 1_599;
    kernel.show();
    const said = await (await open({ floorPages: () => known(pages(100)) })).shrinkTo(pages(0), NEVER);
    assert.deepEqual(kernel.calls, []);
    assert.match(said, /needs 1000 pages .* of 1599 pages .* 600 pages .* must stay/);
  });

  it('leaves everything alone when memory is not known', async () => {
    writeFileSync(join(kernel.root, 'proc/meminfo'), 'MemTotal: 8000000 kB\n');
    assert.match(await (await open()).shrinkTo(pages(0), NEVER), /available memory is not known/);
    assert.deepEqual(kernel.calls, []);
  });

  it('asks for the floor at each look: one that rises after the plan stops the act', async () => {
    let looks = 0;
    const floorPages = (): ReturnType<SwapStripesOptions['floorPages']> =>
      known(pages((looks += 1) === 1 ? 0 : 99_000));
    const said = await (await open({ floorPages })).shrinkTo(pages(0), NEVER);
    assert.deepEqual(kernel.calls, []);
    assert.match(said, /of 100000 pages .* 99500 pages .* must stay/);
  });

  it('leaves everything alone when the floor is not known, and goes on owing', async () => {
    let isKnown = false;
    const stripes = await open({
      floorPages: () => (isKnown ? known(pages(0)) : unknown('malformed', '/proc/zoneinfo has no zones')),
    });
    const said = await stripes.shrinkTo(pages(12_000), NEVER);
    assert.match(
      said,
      /kernel keeps for itself is not known \(\/proc\/zoneinfo has no zones\); 1000 pages .* are owed/,
    );
    assert.deepEqual(kernel.calls, []);
    isKnown = true;
    assert.match(await stripes.shrinkTo(pages(12_999), NEVER), /emptied \/dev\/stripe-c/);
  });

  it('counts anew after each stripe: memory that one has used up is not there for the next', async () => {
    kernel.available = 5_000;
    kernel.show();
    const said = await (await open()).shrinkTo(pages(0), NEVER);
    assert.deepEqual(kernel.calls, [`off ${C}`, `on ${C} 10`]);
    assert.match(said, /left alone: 12000 pages .* owed, and emptying a stripe needs 4000 pages/);
  });

  it('looks again right before the act: memory that fell after the plan stops it', async () => {
    let looks = 0;
    const stripes = await open({
      openFile: (path) => {
        const file = openProcFile(path);
        if (!path.endsWith('meminfo')) return file;
        return {
          ...file,
          path,
          read: () => {
            const text = file.read();
            looks += 1;
            if (looks === 1) {
              kernel.available = 600;
              kernel.show();
            }
            return text;
          },
          close: () => {
            file.close();
          },
        };
      },
    });
    const said = await stripes.shrinkTo(pages(0), NEVER);
    assert.deepEqual(kernel.calls, []);
    assert.equal(looks, 2);
    assert.match(said, /of 600 pages .* must stay/);
  });

  it('says which error swapoff gave, and the stripe stays on', async () => {
    kernel.during = () => refuse('ENOMEM');
    const stripes = await open();
    await assert.rejects(stripes.shrinkTo(pages(0), NEVER), failsWith('ENOMEM', /refused/));
    assert.deepEqual(
      stripes.report().map(({ state }) => state),
      ['on', 'on', 'on'],
    );
  });
});

describe('swap stripes: a tool that is killed when the kernel is about to finish', () => {
  it('has emptied the stripe: it is put back with its priority', async () => {
    const stripes = await open();
    const before = kernel.areas.get('/dev/stripe-c')?.priority;
    kernel.during = (call) => {
      if (!call.startsWith('off')) return;
      kernel.areas.delete('/dev/stripe-c');
      kernel.show();
      return refuse('ENOMEM');
    };
    assert.match(await stripes.shrinkTo(pages(12_000), NEVER), /stripe-c/);
    assert.deepEqual(kernel.calls, ['off /dev/stripe-c', `on /dev/stripe-c ${before}`]);
    assert.deepEqual(
      stripes.report().map(({ state }) => state),
      ['on', 'on', 'on'],
    );
  });
});

describe('swap stripes: a stripe that cannot be put back', () => {
  async function withCOff(): Promise<SwapStripes> {
    const stripes = await open();
    kernel.during = (call) => {
      if (call.startsWith('on')) refuse();
    };
    await assert.rejects(
      stripes.shrinkTo(pages(12_000), NEVER),
      failsWith('EIO', /could not be switched on again: refused by the kernel.*swapon \/dev\/stripe-c/),
    );
    return stripes;
  }

  it('is tried twice at once, then reported as missing with the error', async () => {
    const stripes = await withCOff();
    assert.deepEqual(kernel.calls, [`off ${C}`, `on ${C} 10`, `on ${C} 10`]);
    assert.deepEqual(stripes.report()[2], { device: C, state: 'missing', used: null, error: 'refused by the kernel' });
  });

  it('is tried again at later looks with its old priority, more and more seldom', async () => {
    const stripes = await withCOff();
    kernel.calls.length = 0;
    for (let look = 0; look < 1000; look += 1) await stripes.read();
    assert.ok(kernel.calls.length >= 15 && kernel.calls.length <= 22, `${kernel.calls.length} attempts`);
    kernel.during = () => undefined;
    for (let look = 0; look < 65; look += 1) await stripes.read();
    assert.deepEqual(kernel.areas.get(C), { used: 0, priority: 10 });
    assert.equal(stripes.report()[2]?.state, 'on');
  });

  it('no other stripe is taken off while one is missing', async () => {
    const stripes = await withCOff();
    kernel.calls.length = 0;
    assert.match(await stripes.shrinkTo(pages(0), NEVER), /left alone: \/dev\/stripe-c is not back yet/);
    assert.ok(kernel.calls.every((call) => call.startsWith('on')));
  });

  it('put back by hand, it is not tried again', async () => {
    const stripes = await withCOff();
    kernel.areas.set(C, { used: 0, priority: 3 });
    kernel.show();
    kernel.calls.length = 0;
    for (let look = 0; look < 10; look += 1) await stripes.read();
    assert.deepEqual(kernel.calls, []);
    assert.deepEqual(stripes.report()[2], { device: C, state: 'on', used: 0, error: null });
  });

  it('closing tries once more', async () => {
    const stripes = await withCOff();
    kernel.during = () => undefined;
    await stripes.close();
    assert.deepEqual(kernel.areas.get(C), { used: 0, priority: 10 });
  });
});

describe('swap stripes: restarts and time limits', () => {
  it('after a crash between swapoff and swapon, the next start puts the stripe back in its place', async () => {
    kernel.areas.delete(B);
    kernel.show();
    await open();
    assert.deepEqual(kernel.calls, [`on ${B} 11`]);
    assert.deepEqual(kernel.areas.get(B), { used: 0, priority: 11 });
  });

  it('at the first start, switches all on, the first device with the highest priority', async () => {
    kernel.areas.clear();
    kernel.show();
    await open();
    assert.deepEqual(kernel.calls, [`on ${A} 102`, `on ${B} 101`, `on ${C} 100`]);
  });

  it('a device that refuses at the start does not stop the others, nor shrinking', async () => {
    kernel.areas.delete(B);
    kernel.show();
    kernel.during = (call) => {
      if (call === `on ${B}`) refuse();
    };
    const stripes = await open();
    assert.equal(stripes.report()[1]?.state, 'missing');
    assert.match(await stripes.shrinkTo(pages(8_000), NEVER), /emptied \/dev\/stripe-c/);
  });

  it('lets the caller go at the limit, finishes the stripe, and begins no other', async () => {
    const stripes = await open();
    const limit = new AbortController();
    let finish = (): void => undefined;
    kernel.during = (call) =>
      call.startsWith('off')
        ? new Promise<void>((resolve) => {
            finish = resolve;
            limit.abort();
          })
        : undefined;
    await assert.rejects(
      stripes.shrinkTo(pages(0), limit.signal),
      failsWith('ETIMEDOUT', /goes on with \/dev\/stripe-c, for swapoff cannot be aborted/),
    );
    assert.match(await stripes.shrinkTo(pages(0), NEVER), /still busy with \/dev\/stripe-c/);
    assert.equal(stripes.report()[2]?.state, 'on');
    finish();
    await stripes.close();
    assert.deepEqual(kernel.calls, [`off ${C}`, `on ${C} 10`]);
  });

  it('closing waits for the stripe that is being emptied, and begins no other', async () => {
    const stripes = await open();
    const closings: Promise<void>[] = [];
    kernel.during = (call) => {
      if (call.startsWith('off')) closings.push(stripes.close());
    };
    assert.match(await stripes.shrinkTo(pages(0), NEVER), /emptied \/dev\/stripe-c/);
    await Promise.all(closings);
    assert.deepEqual(kernel.calls, [`off ${C}`, `on ${C} 10`]);
  });

  it('closed, it is absent and refuses to shrink', async () => {
    const stripes = await open();
    await stripes.close();
    assert.equal((await stripes.read()).kind, 'absent');
    await assert.rejects(stripes.shrinkTo(pages(0), NEVER), failsWith('EUNAVAILABLE', /closed/));
  });
});
