/**
 * Protects growth past boot memory on its whole way: the loop, the executor and a simulated guest whose kernel plugs memory in and out,
 * with every page of its host accounted for after each second.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Tell } from '../../src/control/actions.js';
import type { Hypervisor } from '../../src/control/ports.js';
import { createStep, initialState } from '../../src/control/step.js';
import { DEFAULT_TUNABLES } from '../../src/control/tunables.js';
import { createEmbeddedHypervisor } from '../../src/hypervisors/embedded/embedded.js';
import { selfPolicy, type SelfshrinkMemory } from '../../src/policies/index.js';
import { Loop } from '../../src/runtime/loop.js';
import { statusOf, type StatusGuest } from '../../src/server/status.js';
import { VirtualClock } from '../../src/sim/index.js';
import { secondsToMillis } from '../../src/units.js';
import { inPages, puppet, type Puppet } from '../sim/lives.js';

const BOOT = inPages(512);

interface Rig extends Puppet {
  readonly clock: VirtualClock;
  readonly told: Tell[];
  readonly loop: Loop<SelfshrinkMemory>;
  readonly need: (mib: number) => void;
  readonly row: () => StatusGuest;
  readonly end: () => Promise<void>;
}

async function withRig(
  use: (rig: Rig) => Promise<void>,
  change: (hypervisor: Hypervisor) => Hypervisor = (same) => same,
): Promise<void> {
  const world = puppet({ bootPages: BOOT, maximumPages: BOOT, pluggablePages: inPages(512), hasTmem: false });
  const clock = new VirtualClock();
  const told: Tell[] = [];
  const loop = new Loop<SelfshrinkMemory>({
    step: createStep(selfPolicy),
    policyName: selfPolicy.name,
    state: initialState<SelfshrinkMemory>({
      tunables: DEFAULT_TUNABLES,
      isDryRun: false,
      hasFrontswap: false,
      limits: {},
    }),
    clock,
    hypervisors: [change(createEmbeddedHypervisor({ host: world.host, clock }))],
    journal: null,
    tell: (tell) => told.push(tell),
  });
  const ending = new AbortController();
  const running = loop.run(ending.signal);
  const need = (mib: number): void => {
    world.demand.hotPages = inPages(mib);
    world.demand.committedPages = inPages(mib);
  };
  const row = (): StatusGuest => statusOf(loop.readModel.snapshot()).guests[0] ?? assert.fail();
  const end = async (): Promise<void> => {
    ending.abort();
    await running;
  };
  await use({ ...world, clock, told, loop, need, row, end });
  await end();
}

const until = (clock: VirtualClock, seconds: number): Promise<void> => clock.advanceTo(secondsToMillis(seconds));

describe('a simulated guest that can grow', () => {
  it('gets what it needs beyond its boot memory, and gives all of it back', async () => {
    await withRig(async ({ clock, guest, need, row, told, loop, host, end }) => {
      const { plugged, balloon } = guest.kernel;
      need(100);
      await until(clock, 300);
      assert.ok(balloon.currentPages < BOOT / 2 && plugged.pluggedPages === 0);
      need(600);
      await until(clock, 330);
      assert.equal(balloon.currentPages, BOOT);
      assert.ok(plugged.pluggedPages >= inPages(600) - BOOT);
      assert.equal(row().reading?.pluggedPages, plugged.pluggedPages);
      assert.equal(row().maximumPages, BOOT + inPages(512));
      need(100);
      await until(clock, 600);
      assert.equal(plugged.pluggedPages, 0);
      assert.ok(balloon.currentPages < BOOT / 2);
      assert.deepEqual(
        told.filter(({ code }) => code !== 'guest-came'),
        [],
      );
      await end();
      assert.deepEqual(await loop.giveBack(), []);
      host.advanceTo(secondsToMillis(610));
      assert.equal(balloon.currentPages, BOOT);
    });
  });

  it('whose hypervisor cannot plug anything in stays at its boot memory, and the rest goes on', async () => {
    const cannot = (whole: Hypervisor): Hypervisor => ({
      kind: whole.kind,
      description: whole.description,
      watchGuests: (signal) => whole.watchGuests(signal),
      read: (guests, report, signal) => whole.read(guests, report, signal),
      setTarget: (guest, target, signal) => whole.setTarget(guest, target, signal),
      shrinkOverflow: (guest, to, signal) => whole.shrinkOverflow(guest, to, signal),
      close: () => whole.close(),
    });
    await withRig(async ({ clock, guest, need, row, told, loop, end }) => {
      need(600);
      await until(clock, 60);
      assert.equal(guest.kernel.balloon.currentPages, BOOT);
      assert.equal(row().phase, 'failed');
      assert.match(row().why, /cannot give guests more than their boot memory/);
      assert.ok(told.some(({ failure }) => failure?.part === 'growth' && failure.code === 'EPERM'));
      need(100);
      await until(clock, 300);
      assert.ok(guest.kernel.balloon.currentPages < BOOT / 2);
      assert.notEqual(row().phase, 'failed');
      await end();
      assert.deepEqual(await loop.giveBack(), []);
    }, cannot);
  });
});
