/** The specification's story, watched over a simulated day: the self-ballooning policy with its defaults on the embedded host. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DEFAULT_TUNABLES } from '../../src/control/tunables.js';
import { floorPages } from '../../src/policies/selfballoon.js';
import { embeddedHost, LIVES, ownPagesOf, SimHost, type SimGuest } from '../../src/sim/index.js';
import { pages } from '../../src/units.js';
import { inPages } from './lives.js';
import { at, startRounds, valueOf } from './rounds.js';

const INTERVAL = DEFAULT_TUNABLES.selfballoon_interval;
const DAY = 24 * 3_600;

const balanced = (host: SimHost): void => {
  host.assertBalanced();
};

/** What self-ballooning leaves to a guest at least, in the driver's count. */
const leastPages = ({ kernel }: SimGuest): number =>
  floorPages(kernel.options.maximumPages, pages(kernel.watermarks.reserve), 0) +
  ownPagesOf(kernel.options.maximumPages);

function guestOf(host: SimHost, name: string): SimGuest {
  const guest = host.guest(name);
  assert.ok(guest !== null);
  return guest;
}

describe('a simulated day on the embedded host', () => {
  for (const seed of [1, 2, 3]) {
    it(`kills nobody, squeezes nobody below the floor and loses no page (seed ${seed})`, async () => {
      const host = embeddedHost({ seed, hostMib: 8_192, afterTick: balanced });
      const rounds = startRounds(host);
      const guests = Array.from(host.guests(), (guest) => ({ guest, least: leastPages(guest) }));
      while (host.now < at(DAY)) {
        await rounds.round(INTERVAL);
        for (const { guest, least } of guests) {
          const held = guest.kernel.balloon.currentPages;
          assert.ok(held >= least, `${guest.name} holds ${held} pages at ${host.now} ms; its floor is ${least}`);
        }
      }
      for (const { guest } of guests) assert.equal(guest.kernel.oomKills, 0, guest.name);
    });
  }
});

describe('self-ballooning on the embedded host', () => {
  it('brings the idle guest near its floor within three minutes', async () => {
    const host = embeddedHost({ seed: 1, hostMib: 8_192 });
    const rounds = startRounds(host);
    const idle = guestOf(host, 'idle');
    while (host.now < at(180)) await rounds.round(INTERVAL);
    assert.ok(idle.kernel.balloon.currentPages <= 1.05 * leastPages(idle));
    assert.equal(idle.kernel.majorFaults, 0);
  });

  it('leaves the JVM far more than it uses, for it has promised itself as much', async () => {
    const host = embeddedHost({ seed: 1, hostMib: 8_192 });
    const rounds = startRounds(host);
    while (host.now < at(1_800)) await rounds.round(INTERVAL);
    const { memory } = guestOf(host, 'jvm').kernel;
    assert.ok(memory.ram > 1.8 * (memory.anonymous + memory.cached + memory.kernel));
  });

  it('pays for a small guest with refaults: the page cache in use is not in what was promised', async () => {
    const host = embeddedHost({ seed: 1, hostMib: 8_192 });
    const rounds = startRounds(host);
    while (host.now < at(1_800)) await rounds.round(INTERVAL);
    const before = valueOf(rounds.last('database').refaults);
    while (host.now < at(4 * 3_600)) await rounds.round(INTERVAL);
    assert.ok(valueOf(rounds.last('database').refaults) - before > 10_000);
  });

  it('gives a busy guest what it promised within two intervals, when the host has it', async () => {
    const maximumPages = inPages(4_096);
    const host = new SimHost({ seed: 1, totalPages: inPages(6_144), afterTick: balanced });
    host.addGuest({ name: 'builds', bootPages: inPages(2_048), maximumPages, workload: LIVES.builds });
    const rounds = startRounds(host);
    const needed: number[] = [];
    let most = 0;
    while (host.now < at(2 * 3_600)) {
      await rounds.round(INTERVAL);
      const { demand, memory, watermarks } = guestOf(host, 'builds').kernel;
      const promised = needed.at(-2);
      if (promised !== undefined) assert.ok(memory.ram >= Math.min(promised, 0.97 * maximumPages));
      // What it wants less of meanwhile, it need not be given.
      needed.push(demand.committedPages + watermarks.reserve);
      if (needed.length > 1) needed[needed.length - 2] = Math.min(needed.at(-2) ?? 0, needed.at(-1) ?? 0);
      most = Math.max(most, demand.committedPages);
    }
    assert.ok(most > maximumPages / 4, 'there was no burst');
  });

  it('lets frontswap fill when a guest needs more than it can have, and brings it home when that is over', async () => {
    const host = embeddedHost({ seed: 1, hostMib: 12_288, afterTick: balanced });
    const rounds = startRounds(host);
    const { kernel } = guestOf(host, 'swapper');
    const resting = 0.35 * kernel.options.maximumPages;
    const fills: number[] = [];
    let most = 0;
    while (host.now < at(6 * 3_600)) {
      await rounds.round(INTERVAL);
      const { swap, cold } = kernel.memory;
      most = Math.max(most, swap.frontswapPages);
      const isHome = swap.usedPages === 0 && cold.resident > 0.99 * resting;
      if (isHome && most > 0.5 * resting) fills.push(most);
      if (isHome) most = 0;
    }
    assert.ok(fills.length >= 2, `it filled and came home ${fills.length} times`);
  });

  it('leaves pages in frontswap for ever when self-shrinking is off', async () => {
    const host = embeddedHost({ seed: 1, hostMib: 12_288 });
    const rounds = startRounds(host, { ...DEFAULT_TUNABLES, frontswap_selfshrinking: 0 });
    const { memory, demand } = guestOf(host, 'swapper').kernel;
    while (memory.swap.frontswapPages < inPages(256)) await rounds.round(INTERVAL);
    while (demand.hotPages > inPages(300)) await rounds.round(INTERVAL);
    const rested = memory.cold.swapped;
    const until = host.now + at(900);
    while (host.now < until) await rounds.round(INTERVAL);
    assert.ok(rested > inPages(256));
    assert.equal(memory.cold.swapped, rested);
  });
});
