import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { EphemeralPool, HostMemory, PersistentPool } from '../../src/sim/index.js';
import { pages } from '../../src/units.js';
import { useSeed } from '../support/seed.js';

useSeed();

describe('the ephemeral pool', () => {
  it('forgets a page that is fetched', () => {
    const host = new HostMemory(pages(1_000));
    const pool = new EphemeralPool(host);
    assert.equal(pool.put(300), 300);
    assert.equal(pool.get(100), 100);
    assert.equal(pool.count, 200);
    assert.equal(pool.get(500), 200);
    assert.equal(host.freePages, 1_000);
  });

  it('loses its pages to a guest that grows', () => {
    const host = new HostMemory(pages(1_000));
    const pool = new EphemeralPool(host);
    pool.put(800);
    assert.equal(host.grant(900), 900);
    assert.equal(pool.count, 100);
    assert.equal(host.grant(500), 100);
    assert.equal(pool.count, 0);
  });

  it('loses its pages to persistent ones', () => {
    const host = new HostMemory(pages(1_000));
    const pool = new EphemeralPool(host);
    pool.put(1_000);
    assert.equal(new PersistentPool(host).put(400), 400);
    assert.equal(pool.count, 600);
  });

  it('shares the loss with the other guests', () => {
    const host = new HostMemory(pages(4_096));
    const pools = [new EphemeralPool(host), new EphemeralPool(host)] as const;
    for (const pool of pools) pool.put(2_048);
    host.grant(2_048);
    assert.deepEqual(
      pools.map(({ count }) => count),
      [1_024, 1_024],
    );
  });

  it('lets new pages displace old ones when the host is full', () => {
    const host = new HostMemory(pages(1_000));
    const [old, young] = [new EphemeralPool(host), new EphemeralPool(host)] as const;
    old.put(1_000);
    assert.equal(young.put(200), 200);
    assert.equal(old.count, 800);
    assert.equal(young.put(5_000), 1_000);
    assert.deepEqual([old.count, young.count], [0, 1_000]);
  });
});

describe('the persistent pool', () => {
  it('is refused when the host has no room, and never loses a page', () => {
    const host = new HostMemory(pages(1_000));
    const pool = new PersistentPool(host);
    host.grant(700);
    assert.equal(pool.put(500), 300);
    assert.equal(pool.put(1), 0);
    assert.equal(host.grant(1), 0);
    assert.equal(pool.count, 300);
    assert.equal(pool.get(50), 50);
    assert.equal(host.grant(100), 50);
  });

  it('gives everything back when it is closed', () => {
    const host = new HostMemory(pages(1_000));
    const pool = new PersistentPool(host);
    pool.put(400);
    pool.close();
    assert.equal(host.freePages, 1_000);
  });
});

describe('the host', () => {
  it('has every page in exactly one account, whatever is asked of it', () => {
    const step = fc.record({ what: fc.nat(7), count: fc.nat(2_000) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const host = new HostMemory(pages(5_000));
        const ephemeral = [new EphemeralPool(host), new EphemeralPool(host), new EphemeralPool(host)] as const;
        const persistent = new PersistentPool(host);
        let held = 0;
        for (const { what, count } of steps) {
          const stays = persistent.count;
          if (what < 3) ephemeral[what % 3]?.put(count);
          else if (what === 3) ephemeral[count % 3]?.get(count);
          else if (what === 4) held += host.grant(count);
          else if (what === 5) {
            const back = Math.min(held, count);
            held -= back;
            host.giveBack(back);
          } else if (what === 6) persistent.put(count);
          else persistent.get(count);
          if (what < 6) assert.equal(persistent.count, stays);
          const caught = ephemeral.reduce((sum, pool) => sum + pool.count, 0);
          assert.equal(host.ephemeralPages, caught);
          assert.equal(host.persistentPages, persistent.count);
          assert.equal(host.freePages + held + caught + persistent.count, 5_000);
        }
      }),
    );
  });
});
