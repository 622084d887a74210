/**
 * Each mechanism that keeps a guest from harm, shown both ways: the same scenario passes with it and fails without it. The loop,
 * the step and the policy are the product's own; only the one mechanism is taken away.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { GuestLimits } from '../../src/control/limits.js';
import { SAFEGUARDS, type Safeguards } from '../../src/control/safeguards.js';
import type { GuestPolicy } from '../../src/control/policy.js';
import type { Reading } from '../../src/control/reading.js';
import { knownAt } from '../../src/control/signal.js';
import { createStep, initialState } from '../../src/control/step.js';
import { DEFAULT_TUNABLES, type Tunables } from '../../src/control/tunables.js';
import type { Hypervisor } from '../../src/control/ports.js';
import { createEmbeddedHypervisor } from '../../src/hypervisors/embedded/embedded.js';
import { selfPolicy, type SelfshrinkMemory } from '../../src/policies/index.js';
import { Loop } from '../../src/runtime/loop.js';
import { VirtualClock } from '../../src/sim/index.js';
import { millis, pages, type Pages } from '../../src/units.js';
import { FakeHypervisor, fakeGuest, type FakeGuest } from '../support/fake-hypervisor.js';
import { readingOf } from '../support/readings.js';
import { inPages, puppet } from '../sim/lives.js';

interface Scenario {
  readonly hypervisor: (clock: VirtualClock) => Hypervisor;
  readonly safeguards?: Partial<Safeguards>;
  readonly policy?: GuestPolicy<SelfshrinkMemory>;
  readonly tunables?: Partial<Tunables>;
  readonly limits?: Readonly<Record<string, GuestLimits>>;
}

/** Runs the loop while `live` moves the clock, then ends it without giving anything back. */
async function withLoop(
  { hypervisor, safeguards = {}, policy = selfPolicy, tunables = {}, limits = {} }: Scenario,
  live: (clock: VirtualClock) => Promise<void>,
): Promise<Loop<SelfshrinkMemory>> {
  const clock = new VirtualClock();
  const loop = new Loop<SelfshrinkMemory>({
    step: createStep(policy, { ...SAFEGUARDS, ...safeguards }),
    policyName: policy.name,
    state: initialState<SelfshrinkMemory>({
      tunables: { ...DEFAULT_TUNABLES, ...tunables },
      isDryRun: false,
      hasFrontswap: false,
      limits,
    }),
    clock,
    hypervisors: [hypervisor(clock)],
    journal: null,
    tell: () => undefined,
  });
  const ending = new AbortController();
  const running = loop.run(ending.signal);
  await live(clock);
  ending.abort();
  await running;
  return loop;
}

describe('the reserved room above what is committed', () => {
  /** A guest without any swap settles for ten minutes, and then wants 3 MiB more every second for a minute. */
  async function oomKills(selfballoon_reserved_mb: Tunables['selfballoon_reserved_mb']): Promise<number> {
    const rig = puppet({ swapPages: pages(0), hasTmem: false });
    const want = (committed: number): void => {
      rig.demand.committedPages = inPages(committed);
      rig.demand.hotPages = inPages(committed - 10);
    };
    want(250);
    const hypervisor = (clock: VirtualClock): Hypervisor => createEmbeddedHypervisor({ host: rig.host, clock });
    await withLoop({ hypervisor, tunables: { selfballoon_reserved_mb } }, async (clock) => {
      await clock.advanceTo(millis(600_000));
      for (let second = 1; second <= 60; second += 1) {
        want(250 + 3 * second);
        await clock.advanceTo(millis(600_000 + second * 1_000));
      }
    });
    const kills = rig.guest.read().oomKills;
    return kills.known ? kills.value : Number.NaN;
  }

  it('keeps a guest without swap alive while its demand grows between two looks', async () => {
    assert.equal(await oomKills('auto'), 0);
  });

  it('is needed: by the old law alone the same guest has its processes killed', async () => {
    assert.ok((await oomKills(0)) > 0);
  });
});

describe('not believing what cannot be true, or was true long ago', () => {
  /** How small a guest gets that really needs 100,000 pages, and says what the lie says. */
  async function leastSizeOf(
    lie: (clock: VirtualClock) => Partial<Reading>,
    safeguards: Partial<Safeguards>,
  ): Promise<number> {
    const guest: FakeGuest = fakeGuest({ committed: 100_000 });
    const hypervisor = (clock: VirtualClock): Hypervisor => {
      guest.lie = lie(clock);
      return new FakeHypervisor(new Map([['guest', guest]]), () => clock.now());
    };
    await withLoop({ hypervisor, safeguards }, (clock) => clock.advanceTo(millis(300_000)));
    return guest.total;
  }

  const NO_BELIEF_NEEDED: Partial<Safeguards> = { believe: (reading) => reading };
  const lies: readonly (readonly [string, (clock: VirtualClock) => Partial<Reading>])[] = [
    ['has no demand, in a reading of an hour ago', () => ({ committed: knownAt(pages(0), millis(-3_600_000)) })],
    [
      'has more free than it has, and no demand',
      (clock) => ({ committed: at(clock, 0), free: at(clock, 9_000_000), available: at(clock, 9_000_000) }),
    ],
  ];
  /** Stamped when it is read, as a liar would. */
  function at(clock: VirtualClock, value: number): Reading['free'] {
    return {
      known: true,
      value: value as Pages,
      get at() {
        return clock.now();
      },
    };
  }

  for (const [what, lie] of lies) {
    it(`leaves a guest alone that says it ${what}`, async () => {
      assert.equal(await leastSizeOf(lie, {}), 131_072);
    });

    it(`is needed: without it, a guest is squeezed that says it ${what}`, async () => {
      assert.ok((await leastSizeOf(lie, NO_BELIEF_NEEDED)) < 100_000);
    });
  }
});

describe('the administrator’s limits', () => {
  const limits = { guest: { floor: pages(120_000), ceiling: pages(125_000) } };
  const noLimits: Partial<Safeguards> = { limit: ({ wished }) => ({ kind: 'as-wished', target: wished }) };

  async function targetsWith(safeguards: Partial<Safeguards>, committed: number): Promise<readonly number[]> {
    const guests = new Map([['guest', fakeGuest({ committed, total: 119_000, maximum: 200_000 })]]);
    let asked: FakeHypervisor['targets'] = [];
    const hypervisor = (clock: VirtualClock): Hypervisor => {
      const fake = new FakeHypervisor(guests, () => clock.now());
      asked = fake.targets;
      return fake;
    };
    await withLoop({ hypervisor, safeguards, limits }, (clock) => clock.advanceTo(millis(120_000)));
    return asked.map(({ target }) => target);
  }

  const isWithin = (target: number): boolean => target >= 120_000 && target <= 125_000;

  for (const [what, committed] of [
    ['idle', 1_000],
    ['greedy', 190_000],
  ] as const) {
    it(`hold a guest that is ${what}`, async () => {
      const targets = await targetsWith({}, committed);
      assert.ok(targets.length > 0 && targets.every(isWithin));
    });

    it(`are needed: without them a guest that is ${what} leaves them`, async () => {
      assert.equal((await targetsWith(noLimits, committed)).every(isWithin), false);
    });
  }
});

describe('giving back on the way out', () => {
  it('leaves the guest with all it had; without it, it stays squeezed', async () => {
    const guest = fakeGuest();
    const hypervisor = (clock: VirtualClock): Hypervisor =>
      new FakeHypervisor(new Map([['guest', guest]]), () => clock.now());
    const loop = await withLoop({ hypervisor }, (clock) => clock.advanceTo(millis(300_000)));
    assert.ok(guest.total < 100_000);
    assert.deepEqual(await loop.giveBack(), []);
    assert.equal(guest.total, 131_072);
  });
});

describe('remembering how much a guest may have', () => {
  /** Its maximum can be read for a minute, and not any more when it is time to give back. */
  async function sizeAfterwards(forgets: boolean): Promise<readonly [size: number, kept: readonly string[]]> {
    const guest = fakeGuest();
    const lost = { maximum: { known: false, reason: 'unreadable', detail: 'the file is gone' } } as const;
    if (forgets) guest.lie = lost;
    const hypervisor = (clock: VirtualClock): Hypervisor =>
      new FakeHypervisor(new Map([['guest', guest]]), () => clock.now());
    const loop = await withLoop({ hypervisor }, async (clock) => {
      await clock.advanceTo(millis(60_000));
      guest.lie = lost;
      await clock.advanceTo(millis(120_000));
    });
    return [guest.total, await loop.giveBack().then((kept) => [...kept, String(guest.total)])];
  }

  it('gives back to the most that was ever believed', async () => {
    assert.deepEqual((await sizeAfterwards(false))[1], ['131072']);
  });

  it('is needed: a guest whose maximum was never known keeps what it has, and is named', async () => {
    const [squeezed, kept] = await sizeAfterwards(true);
    assert.deepEqual(kept, ['guest', String(squeezed)]);
    assert.ok(squeezed < 131_072);
  });
});

describe('a bug that one guest brings to light', () => {
  const faulty: GuestPolicy<SelfshrinkMemory> = {
    ...selfPolicy,
    decide(view, memory, now) {
      const { committed } = view.reading;
      if (committed.known && committed.value === 666) throw new Error('a bug of ours');
      return selfPolicy.decide(view, memory, now);
    },
  };

  it('costs that guest its step, is told, and stops nobody else', async () => {
    const guests = new Map([
      ['odd', fakeGuest({ committed: 666 })],
      ['sound', fakeGuest()],
    ]);
    const hypervisor = (clock: VirtualClock): Hypervisor => new FakeHypervisor(guests, () => clock.now());
    const loop = await withLoop({ hypervisor, policy: faulty }, (clock) => clock.advanceTo(millis(120_000)));
    assert.equal(guests.get('odd')?.total, 131_072);
    assert.ok((guests.get('sound')?.total ?? Infinity) < 110_000);
    const [odd] = loop.readModel.snapshot().guests;
    assert.match(odd?.why ?? '', /a bug in selfballoon, please report it: a bug of ours/);
  });

  it('is contained by the step, not by the policy', () => {
    const reading = readingOf({ committed: 666 });
    const view = { tunables: DEFAULT_TUNABLES, hasOverflowTier: false, reading };
    assert.throws(() => faulty.decide(view, selfPolicy.initialMemory, millis(0)), /a bug of ours/);
  });
});
