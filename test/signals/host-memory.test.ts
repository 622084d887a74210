/** Protects what a host is taken to have: its kernel's word, of the time of the look, and unknown where that cannot be read. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openHostMemory } from '../../src/signals/host-memory.js';
import { millis, pages } from '../../src/units.js';
import { fixture } from '../support/paths.js';

const OPTIONS = { pool: 'somewhere', reserve: pages(5), now: () => millis(7) };

describe('the memory of a host', () => {
  it('is free as far as its kernel could hand it out without swapping', () => {
    const memory = openHostMemory({ ...OPTIONS, root: fixture('xen-guest') });
    const { pool, at, total, free, reserve } = memory.read();
    memory.close();
    assert.deepEqual([pool, at, reserve], ['somewhere', 7, 5]);
    assert.ok(total.known && total.at === 7);
    assert.ok(free.known && free.value > 0 && free.value < total.value);
  });

  it('is unknown, and neither 0 nor an error, where it cannot be read', () => {
    const memory = openHostMemory({ ...OPTIONS, root: '/nowhere' });
    const { total, free } = memory.read();
    memory.close();
    assert.ok(!total.known && !free.known);
  });
});
