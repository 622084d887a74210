/** Protects the simulated guest's plugged memory: whole blocks, out of what its host has, and out of use before it goes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PLUG_BLOCK } from '../../src/sim/index.js';
import { pages } from '../../src/units.js';
import { inPages, puppet } from './lives.js';

describe('memory that is plugged into a simulated guest', () => {
  it('is RAM of its kernel, and comes from its host', () => {
    const { host, guest, live } = puppet({ pluggablePages: inPages(512) });
    const [ram, free] = [guest.kernel.memory.ram, host.memory.freePages];
    guest.setGrowth(inPages(256));
    live(1);
    assert.ok(guest.kernel.plugged.pluggedPages > 0 && guest.kernel.plugged.pluggedPages < inPages(256));
    live(10);
    assert.equal(guest.kernel.memory.ram, ram + inPages(256));
    assert.equal(host.memory.freePages, free - inPages(256));
    guest.setGrowth(pages(0));
    live(10);
    assert.deepEqual([guest.kernel.memory.ram, host.memory.freePages], [ram, free]);
  });

  it('comes in whole blocks as far as the host has them', () => {
    const { guest, live } = puppet({ pluggablePages: inPages(512), hostMib: 1_024 + 5 });
    guest.setGrowth(inPages(64));
    live(10);
    assert.equal(guest.kernel.plugged.pluggedPages, 2 * PLUG_BLOCK);
  });

  it('is not given up while it is in use, and goes with the guest', () => {
    const { host, guest, demand, live } = puppet({ pluggablePages: inPages(512), swapPages: pages(0), hasTmem: false });
    guest.setGrowth(inPages(512));
    live(10);
    demand.hotPages = inPages(1_300);
    live(10);
    guest.setGrowth(pages(0));
    live(30);
    assert.ok(guest.kernel.plugged.pluggedPages > inPages(250));
    assert.equal(guest.kernel.oomKills, 0);
    demand.hotPages = 0;
    live(30);
    assert.equal(guest.kernel.plugged.pluggedPages, 0);
    guest.setGrowth(inPages(64));
    live(10);
    host.removeGuest('puppet');
    assert.equal(host.memory.freePages, host.memory.totalPages);
  });

  it('must be whole blocks from the beginning', () => {
    assert.throws(() => puppet({ pluggablePages: pages(513) }), /whole blocks of 512/);
  });
});
