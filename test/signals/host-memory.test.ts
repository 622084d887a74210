/** Protects what a host is taken to have: its kernel's word, of the time of the look, and unknown where that cannot be read. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HostReading } from '../../src/control/pool.js';
import { openHostMemory } from '../../src/signals/host-memory.js';
import { millis, NO_PAGES, pages } from '../../src/units.js';
import { fixture } from '../support/paths.js';

const OPTIONS = { pool: 'somewhere', reserve: pages(5), now: () => millis(7) };

describe('the memory of a host', () => {
  it('is free as far as its kernel could hand it out without swapping', () => {
    const memory = openHostMemory({ ...OPTIONS, root: fixture('xen-guest') });
    const { pool, at, total, free, reserve } = memory.read(NO_PAGES);
    memory.close();
    assert.deepEqual([pool, at, reserve], ['somewhere', 7, 5]);
    assert.ok(total.known && total.at === 7);
    assert.ok(free.known && free.value > 0 && free.value < total.value);
  });

  it('is less by what guests hold and have not touched', () => {
    const memory = openHostMemory({ ...OPTIONS, root: fixture('xen-guest') });
    const freeOf = ({ free }: HostReading): number => (free.known ? free.value : NaN);
    const all = freeOf(memory.read(NO_PAGES));
    assert.equal(freeOf(memory.read(pages(100))), all - 100);
    assert.equal(freeOf(memory.read(pages(all + 1))), 0);
    memory.close();
  });

  it('is unknown, and neither 0 nor an error, where it cannot be read', () => {
    const memory = openHostMemory({ ...OPTIONS, root: '/nowhere' });
    const { total, free } = memory.read(NO_PAGES);
    memory.close();
    assert.ok(!total.known && !free.known);
  });
});
