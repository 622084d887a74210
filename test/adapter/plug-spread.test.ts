/**
 * Protects that memory does not wander between the devices of a guest: they are given more only where none has yet to give something up,
 * never have more in all than was granted, and stay as they are where they are to stay.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { blockOf, pluggableIn } from '../../src/adapter/plug-devices.js';
import { askDevices, PlugHistory, spread, type PlugNow, type SeenPlug } from '../../src/adapter/plug-spread.js';
import { maxPages, NO_PAGES, pages, type Pages } from '../../src/units.js';
import { useSeed } from '../support/seed.js';

useSeed();

/** By what it has; the rest is as if nobody had asked for anything else since it was found. */
const device = (
  plugged: number,
  more: Partial<Record<'maximum' | 'block' | 'asked' | 'found', number>> = {},
): PlugNow => {
  const { maximum = 8_192, block = 512, asked = plugged, found = asked } = more;
  return {
    ...{ maximum: pages(maximum), block: pages(block), plugged: pages(plugged) },
    ...{ asked: pages(asked), found: pages(found), isReluctant: false },
  };
};
const sumOf = (sizes: readonly number[]): number => sizes.reduce((sum, size) => sum + size, 0);

describe('what a guest is to have beyond what it has', () => {
  it('goes into the first device before the second, in the steps of each', () => {
    const empty = [device(0, { maximum: 1_024 }), device(0, { maximum: 4_096 })];
    assert.deepEqual(spread(empty, pages(2_048)), [1_024, 1_024]);
    assert.deepEqual(spread(empty, pages(512)), [512, 0]);
    const uneven = [device(0, { maximum: 1_536 }), device(0, { maximum: 2_048, block: 1_024 })];
    assert.deepEqual(spread(uneven, pages(3_072)), [1_024, 2_048]);
  });

  it('is no whole blocks, or more than there can be: it is not spread', () => {
    const empty = [device(0, { maximum: 1_024 }), device(0, { maximum: 4_096 })];
    assert.deepEqual(
      [spread(empty, pages(5_632)), spread(empty, pages(511)), spread([], pages(0))],
      [null, null, null],
    );
    assert.equal(spread([device(1_024)], pages(511)), null);
  });

  it('leaves to each what it has, wherever that is', () => {
    assert.deepEqual(spread([device(0), device(2_048)], pages(2_560)), [512, 2_048]);
  });

  it('goes first where it is on its way, then where it was found', () => {
    assert.deepEqual(spread([device(0), device(512, { asked: 2_048, found: 0 })], pages(2_560)), [512, 2_048]);
    assert.deepEqual(spread([device(0), device(512, { found: 2_048 })], pages(2_560)), [512, 2_048]);
  });

  it('is what was found, which is restored in each device, though it is no multiple of the largest block', () => {
    const found = [device(0, { found: 1_536 }), device(0, { block: 16_384, maximum: 131_072, found: 16_384 })];
    assert.deepEqual(spread(found, pages(17_920)), [1_536, 16_384]);
    // What lies elsewhere by now is not moved for it.
    const elsewhere = [device(2_048, { found: 1_536, maximum: 16_384 }), found[1] ?? assert.fail()];
    assert.deepEqual(spread(elsewhere, pages(17_920)), [16_384, 0]);
  });

  it('fills what has no whole block of the largest size last, and only for what was found there', () => {
    const odd = [device(0, { maximum: 1_536, found: 1_536 }), device(0, { block: 1_024, maximum: 2_048 })];
    assert.deepEqual(spread(odd, pages(1_536)), [1_536, 0]);
    assert.deepEqual(spread(odd, pages(2_048)), [1_024, 1_024]);
  });

  it('falls short by less than a block where somebody else has filled what has no whole one', () => {
    const odd = [device(1_536, { maximum: 1_536 }), device(0, { block: 1_024, maximum: 2_048 })];
    assert.deepEqual(spread(odd, pages(2_048)), [1_536, 0]);
    assert.deepEqual(spread(odd, pages(3_072)), [1_536, 1_024]);
  });
});

describe('what a guest is to have less than it has', () => {
  it('is taken from the last device, and nothing is moved to the first', () => {
    assert.deepEqual(spread([device(0), device(4_096)], pages(3_584)), [0, 3_584]);
    assert.deepEqual(spread([device(4_096), device(1_024)], pages(3_584)), [3_584, 0]);
  });

  it('is taken from what came on top of what was found, before the rest', () => {
    const devices = [device(4_096, { found: 1_024 }), device(1_024)];
    assert.deepEqual(spread(devices, pages(2_048)), [1_024, 1_024]);
    assert.deepEqual(spread(devices, pages(512)), [512, 0]);
  });

  it('is taken from those last that did not give up what they have', () => {
    const devices = [device(4_096), { ...device(1_024), isReluctant: true }];
    assert.deepEqual(spread(devices, pages(3_584)), [2_560, 1_024]);
    assert.deepEqual(spread(devices, pages(512)), [0, 512]);
  });
});

interface Life {
  readonly devices: readonly (PlugNow & { readonly stuckAt: number })[];
  readonly steps: readonly { readonly to: number; readonly obeys: readonly number[] }[];
}

const blocksOf = (size: number, block: number): Pages => pages(Math.floor(size / block) * block);

/** Devices as somebody may have left them, and some below which they do not get. */
const lives: fc.Arbitrary<Life> = fc.record({
  devices: fc.array(
    fc
      .record({
        ...{ power: fc.integer({ min: 0, max: 5 }), blocks: fc.integer({ min: 32, max: 200 }) },
        ...{ has: fc.double({ min: 0, max: 1, noNaN: true }), stuck: fc.constantFrom(0, 0, 0.1, 0.5, 1) },
      })
      .map(({ power, blocks, has, stuck }) => {
        const block = 512 * 2 ** power;
        const maximum = 16_384 * Math.ceil((blocks * block) / 16_384);
        const plugged = blocksOf(has * maximum, block);
        return { ...device(plugged, { maximum, block }), stuckAt: blocksOf(stuck * plugged, block) };
      }),
    { minLength: 2, maxLength: 4 },
  ),
  steps: fc.array(
    fc.record({
      to: fc.double({ min: 0, max: 1, noNaN: true }),
      obeys: fc.array(fc.constantFrom(0, 0.5, 1), { minLength: 4, maxLength: 4 }),
    }),
    { minLength: 1, maxLength: 20 },
  ),
});

/** Follows it through its requests. */
async function live({ devices, steps }: Life): Promise<void> {
  const history = new PlugHistory();
  const now = devices.map((one, place) => ({ ...one, key: String(place) }));
  history.noteSeen(now);
  const plan = (target: Pages) => {
    const requests = history.plan(now, target);
    assert.ok(requests !== null && requests !== 'unknown', `${target} of ${sumOf(now.map(({ plugged }) => plugged))}`);
    return requests;
  };
  const couldHave = (): number => sumOf(now.map(({ plugged, asked }) => maxPages(plugged, asked)));
  for (const { to, obeys } of steps) {
    const held = sumOf(now.map(({ plugged }) => plugged));
    const before = couldHave();
    const target = blocksOf(to * pluggableIn(now), blockOf(now) ?? assert.fail());
    await askDevices(
      plan(target),
      ({ device: one, size }) => {
        const was = now.find(({ key }) => key === one.key) ?? assert.fail();
        assert.ok(size % was.block === 0 && size <= was.maximum);
        assert.ok(target >= held || size <= was.plugged, 'none has more than before where they are to have less');
        assert.ok(target <= held || size >= was.plugged, 'none has less than before where they are to have more');
        was.asked = size;
        assert.ok(couldHave() <= Math.max(before, target), 'on the way they could have more than was granted');
        return Promise.resolve();
      },
      new AbortController().signal,
    );
    assert.equal(sumOf(now.map(({ asked }) => asked)), target);
    assert.ok(couldHave() <= Math.max(target, held), 'they could have more than was granted');
    for (const [place, one] of now.entries()) {
      const goal = maxPages(one.asked, pages(Math.min(devices[place]?.stuckAt ?? 0, one.plugged)));
      const way = blocksOf(Math.abs(goal - one.plugged) * (obeys[place] ?? 1), one.block);
      one.plugged = pages(goal > one.plugged ? one.plugged + way : one.plugged - way);
    }
  }
  // To stay where they are, is for each of them to stay where it is, also where one did not give up what it has.
  plan(pages(sumOf(now.map(({ plugged }) => plugged))))
    .flat()
    .forEach(({ device: one, size }) => {
      assert.equal(size, one.plugged);
      (now.find(({ key }) => key === one.key) ?? assert.fail()).asked = size;
    });
  assert.deepEqual(plan(pages(sumOf(now.map(({ plugged }) => plugged)))).flat(), []);
}

describe('devices that obey, are late, or do not let go', () => {
  it('never have, or may take, more in all than was granted or is there, and are asked for just that', async () => {
    await fc.assert(fc.asyncProperty(lives, live));
  });
});

const seen = (key: string, plugged: number, asked = plugged): SeenPlug => ({
  ...device(plugged),
  key,
  asked: pages(asked),
});

describe('the devices of a guest', () => {
  it('are asked for what changes alone, and those first that are to have less', () => {
    const history = new PlugHistory();
    history.noteSeen([seen('a', 0), seen('b', 0), seen('c', 0)]);
    const plan = history.plan([seen('a', 512), seen('b', 512, 0), seen('c', 512, 4_096)], pages(2_048));
    assert.ok(plan !== null && plan !== 'unknown');
    const sizes = plan.map((batch) => batch.map(({ device: { key }, size }) => [key, size]));
    assert.deepEqual(sizes, [[['c', 1_024]], [['b', 512]]]);
  });

  it('are not asked while one of them is not known, unless there is no other', () => {
    const history = new PlugHistory();
    const silent = { ...seen('a', 0), plugged: null };
    assert.equal(history.plan([silent, seen('b', 0)], pages(512)), 'unknown');
    assert.deepEqual(history.plan([silent], pages(512)), [[{ device: silent, size: 512 }], []]);
    assert.equal(history.plan([silent], pages(511)), null);
    assert.equal(history.plan([], pages(0)), null);
  });

  it('come last to give something up where they did not, until they have something else', () => {
    const history = new PlugHistory();
    const sizesOf = (now: readonly SeenPlug[], target: number): unknown[] => {
      const plan = history.plan(now, pages(target));
      assert.ok(plan !== null && plan !== 'unknown');
      return plan.flat().map(({ device: { key }, size }) => [key, size]);
    };
    history.noteSeen([seen('a', 2_048), seen('b', 2_048)]);
    assert.deepEqual(sizesOf([seen('a', 2_048), seen('b', 2_048)], 3_584), [['b', 1_536]]);
    assert.deepEqual(sizesOf([seen('a', 2_048), seen('b', 2_048, 1_536)], 4_096), [['b', 2_048]]);
    assert.deepEqual(sizesOf([seen('a', 2_048), seen('b', 2_048)], 3_584), [['a', 1_536]]);
    assert.deepEqual(sizesOf([seen('a', 2_048), seen('b', 1_536)], 3_072), [['b', 1_024]]);
  });

  it('that come later are found as they are then, and those that are gone are forgotten', () => {
    const history = new PlugHistory();
    history.noteSeen([seen('a', 512), seen('b', 512)]);
    history.noteSeen([seen('b', 0), seen('c', 1_024)]);
    history.noteSeen([seen('a', 0), seen('b', 0), seen('c', 0)]);
    const plan = history.plan([seen('a', 0), seen('b', 0), seen('c', 0)], pages(1_536));
    assert.ok(plan !== null && plan !== 'unknown');
    assert.deepEqual(
      plan.flat().map(({ device: { key }, size }) => [key, size]),
      [
        ['b', 512],
        ['c', 1_024],
      ],
    );
  });
});

describe('requests to several devices', () => {
  const request = (key: string) => ({ device: key, size: NO_PAGES });

  it('give nobody more where one was not told to have less, and are all waited for', async () => {
    const asked: string[] = [];
    const ask = ({ device: key }: { device: string }): Promise<void> => {
      asked.push(key);
      return key === 'b' ? Promise.reject(new Error('busy')) : Promise.resolve();
    };
    const all = [[request('a'), request('b')], [request('c')]] as const;
    await assert.rejects(askDevices(all, ask, new AbortController().signal), /busy/);
    assert.deepEqual(asked, ['a', 'b']);
  });

  it('give nobody more for a caller that has given up', async () => {
    const [asked, limit]: [string[], AbortController] = [[], new AbortController()];
    const ask = ({ device: key }: { device: string }): Promise<void> => {
      asked.push(key);
      limit.abort();
      return Promise.resolve();
    };
    await assert.rejects(askDevices([[request('a')], [request('b')]], ask, limit.signal));
    assert.deepEqual(asked, ['a']);
    await askDevices([[], []], ask, limit.signal);
  });
});
