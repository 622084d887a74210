/** Protects that memory is plugged in whole blocks, and never more than the devices can add. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { blockOf, pluggableIn } from '../../src/adapter/plug-devices.js';
import { pages } from '../../src/units.js';

describe('what is to be plugged in', () => {
  it('comes in steps of the largest block, of which a device may have no whole one', () => {
    const plugs = [
      { maximum: pages(1_536), block: pages(512) },
      { maximum: pages(2_048), block: pages(1_024) },
    ];
    assert.equal(blockOf(plugs), 1_024);
    assert.equal(pluggableIn(plugs), 3_072);
  });

  it('has nowhere to go without devices', () => {
    assert.deepEqual([blockOf([]), pluggableIn([])], [null, 0]);
  });
});
