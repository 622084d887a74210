import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { SimGuest } from '../../src/sim/index.js';
import { NO_PAGES } from '../../src/units.js';
import { inPages, puppet } from './lives.js';
import { valueOf } from './rounds.js';

const somePressure = (of: SimGuest): number => valueOf(of.read().pressure).somePercent;
const refaultsOf = (of: SimGuest): number => valueOf(of.read().refaults);

describe('a simulated guest without work', () => {
  it('feels no pressure, and moves no page', () => {
    const { guest, live } = puppet();
    live(600);
    const reading = guest.read();
    assert.deepEqual(valueOf(reading.pressure), { somePercent: 0, fullPercent: 0 });
    for (const signal of [reading.refaults, reading.majorFaults, reading.oomKills, reading.swapUsed]) {
      assert.equal(valueOf<number>(signal), 0);
    }
  });

  it('holds more than its kernel manages, by what its kernel holds for itself', () => {
    const { guest, live } = puppet();
    live(1);
    const reading = guest.read();
    assert.equal(valueOf(reading.current), inPages(1_024));
    assert.equal(valueOf(reading.current) - valueOf(reading.total), inPages(32));
  });
});

describe('the page cache', () => {
  it('is read anew and anew when it is squeezed: refaults rise, and so does pressure', () => {
    const { guest, demand, live } = puppet({ hasTmem: false });
    Object.assign(demand, { hotPages: inPages(200), fileHotPages: inPages(400), rereadsPerSecond: 20_000 });
    live(120);
    assert.equal(refaultsOf(guest), 0);
    assert.equal(somePressure(guest), 0);
    guest.setTarget(inPages(500));
    live(60);
    const squeezed = refaultsOf(guest);
    assert.ok(squeezed > 10_000, `${squeezed} refaults`);
    assert.ok(somePressure(guest) > 1);
    guest.setTarget(inPages(1_024));
    live(120);
    const later = refaultsOf(guest);
    live(60);
    assert.equal(refaultsOf(guest), later);
    assert.equal(somePressure(guest) < 0.1, true);
  });

  it('costs less to squeeze when the hypervisor catches what is dropped', () => {
    const stall = (hasTmem: boolean): number => {
      const { guest, demand, live } = puppet({ hasTmem, swapPages: NO_PAGES });
      Object.assign(demand, { hotPages: inPages(200), fileHotPages: inPages(400), rereadsPerSecond: 3_000 });
      live(300);
      guest.setTarget(inPages(500));
      live(60);
      return somePressure(guest);
    };
    const [without, caught] = [stall(false), stall(true)];
    assert.ok(caught * 5 < without, `${caught} % with a cleancache, ${without} % without`);
  });

  it('grows into free memory, and makes way for processes without pressure to speak of', () => {
    const { guest, demand, live } = puppet();
    demand.readsPerSecond = 10_000;
    live(120);
    assert.ok(valueOf(guest.read().free) < inPages(20));
    assert.ok(valueOf(guest.read().available) > inPages(900));
    demand.hotPages = inPages(500);
    live(10);
    assert.equal(guest.kernel.memory.hot.resident, inPages(500));
    assert.ok(somePressure(guest) < 20);
  });
});

describe('swap', () => {
  it('takes memory that nobody touches first, into frontswap while the host has room', () => {
    const { guest, demand, live } = puppet();
    Object.assign(demand, { coldPages: inPages(300), hotPages: inPages(100) });
    live(10);
    demand.hotPages = inPages(850);
    live(30);
    const { cold, hot, swap } = guest.kernel.memory;
    assert.ok(cold.swapped > inPages(150));
    assert.equal(hot.swapped, 0);
    assert.equal(swap.frontswapPages, cold.swapped);
    assert.equal(valueOf(guest.read().overflowUsed), cold.swapped);
  });

  it('goes to the disk when the host has no room, and that costs more', () => {
    const pressure = (hostMib: number): number => {
      const { guest, demand, live } = puppet({ hostMib });
      demand.hotPages = inPages(1_200);
      live(60);
      assert.ok(guest.kernel.majorFaults > 0);
      assert.equal(guest.kernel.memory.swap.diskPages > 0, hostMib === 1_024);
      return somePressure(guest);
    };
    assert.ok(pressure(4_096) < pressure(1_024));
  });

  it('rests in frontswap for ever when nobody asks for it, and comes home when it is shrunk', () => {
    const { guest, demand, live } = puppet();
    Object.assign(demand, { coldPages: inPages(300), hotPages: inPages(850) });
    live(60);
    demand.hotPages = inPages(100);
    live(3_600);
    const rested = guest.kernel.memory.swap.frontswapPages;
    assert.ok(rested > inPages(150));
    const goal = inPages(100);
    assert.equal(guest.kernel.shrinkFrontswap(goal), rested - goal);
    assert.equal(guest.kernel.memory.swap.frontswapPages, goal);
    guest.kernel.shrinkFrontswap(NO_PAGES);
    assert.equal(guest.kernel.memory.cold.resident, inPages(300));
    live(1);
  });

  it('is not brought home into memory that is not there', () => {
    const { guest, demand, live } = puppet();
    Object.assign(demand, { coldPages: inPages(300), hotPages: inPages(850) });
    live(60);
    const before = guest.kernel.memory.swap.frontswapPages;
    guest.kernel.shrinkFrontswap(NO_PAGES);
    assert.ok(guest.kernel.memory.free >= guest.kernel.watermarks.min);
    live(60);
    assert.equal(guest.kernel.oomKills, 0);
    assert.ok(guest.kernel.memory.swap.frontswapPages > before / 2);
  });

  it('is free again when its owner is done with it', () => {
    const { guest, demand, live, host } = puppet();
    demand.hotPages = inPages(1_300);
    live(60);
    demand.hotPages = 0;
    live(5);
    assert.equal(valueOf(guest.read().swapUsed), 0);
    assert.equal(host.memory.persistentPages, 0);
  });
});

describe('running out of memory', () => {
  it('kills when neither cache nor swap can make room, and the guest starts again', () => {
    const { guest, demand, live, restarts } = puppet({ swapPages: NO_PAGES });
    demand.hotPages = inPages(1_100);
    live(1);
    assert.equal(valueOf(guest.read().oomKills), 1);
    assert.equal(restarts(), 1);
    demand.hotPages = inPages(500);
    live(10);
    assert.equal(guest.kernel.oomKills, 1);
    assert.equal(guest.kernel.memory.hot.resident, inPages(500));
  });

  it('is never the balloon’s doing: it takes what can be had without a kill, and comes back for more', () => {
    const { guest, demand, live } = puppet({ swapPages: inPages(100) });
    demand.hotPages = inPages(600);
    live(10);
    guest.setTarget(inPages(64));
    live(120);
    assert.equal(guest.kernel.oomKills, 0);
    const squeezed = valueOf(guest.read().current);
    assert.ok(squeezed > inPages(500) && squeezed < inPages(600));
    assert.ok(guest.kernel.balloon.driver.stats.targetPages < squeezed);
    demand.hotPages = inPages(200);
    live(40);
    assert.ok(valueOf(guest.read().current) < squeezed);
  });
});

describe('the balloon', () => {
  it('moves no faster than a balloon does', () => {
    const { guest, live } = puppet({ hostMib: 8_192, bootPages: inPages(4_096), maximumPages: inPages(4_096) });
    live(5);
    guest.setTarget(inPages(1_024));
    live(1);
    const after = valueOf(guest.read().current);
    assert.ok(after > inPages(3_150) && after < inPages(3_200), `${after} pages after a second`);
    live(4);
    assert.equal(valueOf(guest.read().current), inPages(1_024));
    guest.setTarget(inPages(4_096));
    live(1);
    assert.ok(valueOf(guest.read().current) < inPages(3_200));
    live(1);
    assert.equal(valueOf(guest.read().current), inPages(4_096));
  });

  it('gets what the host has left, and the rest when the host has it', () => {
    const { host, guest, live } = puppet({ hostMib: 1_200, bootPages: inPages(512) });
    const hog = host.memory.grant(inPages(400));
    const balanced = (): void => {
      host.memory.giveBack(hog);
    };
    guest.setTarget(inPages(1_024));
    assert.throws(() => {
      live(5);
    }, /pages held by guests/);
    assert.equal(valueOf(guest.read().current), inPages(800));
    balanced();
    live(60);
    assert.equal(valueOf(guest.read().current), inPages(1_024));
  });
});
