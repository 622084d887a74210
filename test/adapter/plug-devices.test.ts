/** Protects that memory is plugged in whole blocks, in order, without a remainder, and never more than the devices can add. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { blockOf, pluggableIn, spread, type PlugDevice } from '../../src/adapter/plug-devices.js';
import { pages } from '../../src/units.js';
import { useSeed } from '../support/seed.js';

useSeed();

describe('what is to be plugged in', () => {
  it('goes into the first device before the second', () => {
    const plugs = [1_024, 4_096].map((maximum): PlugDevice => ({ maximum: pages(maximum), block: pages(512) }));
    assert.deepEqual(spread(plugs, pages(2_048)), [1_024, 1_024]);
    assert.deepEqual(spread(plugs, pages(512)), [512, 0]);
    assert.deepEqual(spread(plugs, pages(5_632)), null);
    assert.deepEqual(spread(plugs, pages(511)), null);
  });

  it('comes in steps of the largest block, of which a device may have no whole one', () => {
    const plugs = [
      { maximum: pages(1_536), block: pages(512) },
      { maximum: pages(2_048), block: pages(1_024) },
    ];
    assert.equal(blockOf(plugs), 1_024);
    assert.equal(pluggableIn(plugs), 3_072);
    assert.deepEqual(spread(plugs, pages(3_072)), [1_024, 2_048]);
  });

  it('has nowhere to go without devices', () => {
    assert.deepEqual([blockOf([]), pluggableIn([]), spread([], pages(0))], [null, 0, null]);
  });

  it('is spread over the devices without a remainder, whatever their blocks', () => {
    const device = fc
      .record({ power: fc.integer({ min: 0, max: 9 }), blocks: fc.integer({ min: 1, max: 500 }) })
      .map(({ power, blocks }): PlugDevice => {
        const block = 2 ** power * 512;
        return { maximum: pages(blocks * block), block: pages(block) };
      });
    fc.assert(
      fc.property(fc.array(device, { minLength: 1, maxLength: 4 }), fc.nat({ max: 2_000 }), (plugs, blocks) => {
        const wanted = blocks * (blockOf(plugs) ?? assert.fail());
        const sizes = spread(plugs, pages(wanted));
        if (sizes === null) {
          assert.ok(wanted > pluggableIn(plugs), `${wanted} of ${pluggableIn(plugs)}`);
          return;
        }
        assert.equal(
          sizes.reduce((sum: number, size) => sum + size, 0),
          wanted,
        );
        for (const [place, { maximum, block }] of plugs.entries()) {
          const size = sizes[place] ?? NaN;
          assert.ok(size <= maximum && size % block === 0);
        }
      }),
    );
  });
});
