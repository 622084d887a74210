/**
 * The rule for hosts over guests with page cache, in simulation: one that lives from its cache keeps it, one that does not gives it up.
 * The same lives without the guard show what it is there for.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { GuestPolicy } from '../../src/control/policy.js';
import { NOT_REPORTED } from '../../src/control/signal.js';
import { DEFAULT_TUNABLES } from '../../src/control/tunables.js';
import { bareHostPolicy, hostPolicy, type HostMemory } from '../../src/policies/index.js';
import { LIVES, SimHost, type Demand, type SimGuest, type WorkloadFactory } from '../../src/sim/index.js';
import { inPages } from './lives.js';
import { at, startRounds, type Rounds } from './rounds.js';

const INTERVAL = DEFAULT_TUNABLES.selfballoon_interval;
/** Three tenths of it are 300 MiB. */
const MAXIMUM = inPages(1_000);
const WORKING_SET = inPages(300);
/** 0.2 % of it. */
const REFAULTS_MAX = 153;
/** In seconds: when the balloon has settled. */
const SETTLED = 20 * 60;

/** A rule that cannot see what the guests read back: their statistics do not have it. */
const unseeing = (policy: GuestPolicy<HostMemory>): GuestPolicy<HostMemory> => ({
  ...policy,
  decide: (view, memory, now) =>
    policy.decide({ ...view, reading: { ...view.reading, refaults: NOT_REPORTED } }, memory, now),
});

interface Watched {
  readonly host: SimHost;
  readonly guest: SimGuest;
  readonly rounds: Rounds;
  readonly until: (seconds: number) => Promise<void>;
}

/** A guest of 1,000 MiB that leads `life` beside two idle ones; the rule begins when it has lived for `headStart` seconds. */
function watch(life: WorkloadFactory, policy: GuestPolicy<HostMemory>, headStart = 0): Watched {
  const host = new SimHost({
    seed: 1,
    totalPages: inPages(4_096),
    afterTick: (after) => {
      after.assertBalanced();
    },
  });
  const size = { bootPages: MAXIMUM, maximumPages: MAXIMUM, hasTmem: false };
  const guest = host.addGuest({ name: 'watched', ...size, workload: life });
  for (const name of ['idle-1', 'idle-2']) host.addGuest({ name, ...size, workload: LIVES.idle });
  host.advanceTo(at(headStart));
  const rounds = startRounds(host, DEFAULT_TUNABLES, policy);
  const until = async (seconds: number): Promise<void> => {
    while (host.now < at(seconds)) await rounds.round(INTERVAL);
  };
  return { host, guest, rounds, until };
}

/** The life of `fileReader`, changed as the world's time goes on. */
const changed =
  (change: (demand: Demand, seconds: number) => void): WorkloadFactory =>
  (maximumPages, random) => {
    const life = LIVES.files(maximumPages, random);
    return {
      ...life,
      demandAt(seconds, demand) {
        const next = life.demandAt(seconds, demand);
        change(demand, seconds);
        return next;
      },
    };
  };

const reading = (perSecond: number): WorkloadFactory =>
  changed((demand) => {
    demand.rereadsPerSecond = perSecond;
  });

/** Fills its memory with files that are read once, for ten minutes, and then does next to nothing. */
const READ_ONCE: WorkloadFactory = changed((demand, seconds) => {
  demand.fileHotPages = 0;
  demand.readsPerSecond = seconds < 600 ? 1_000 : 0;
});

/** Refaults of each minute from `from` to `to`, in seconds. */
async function refaultsByMinute({ guest, until }: Watched, from: number, to: number): Promise<readonly number[]> {
  await until(from);
  const found: number[] = [];
  for (let end = from + 60; end <= to; end += 60) {
    const before = guest.kernel.refaults;
    await until(end);
    found.push(guest.kernel.refaults - before);
  }
  return found;
}

const held = ({ guest }: Watched): number => guest.kernel.balloon.currentPages;
const most = (counts: readonly number[]): number => Math.max(...counts);
const sum = (counts: readonly number[]): number => counts.reduce((all, count) => all + count, 0);

describe('a guest that reads 300 MiB of files over and over', () => {
  for (const perSecond of [100, 300, 1_000]) {
    it(`keeps its cache, with ${perSecond} pages read a second: 0.2 % refaults a minute at most, for twelve hours`, async () => {
      const watched = watch(reading(perSecond), hostPolicy);
      const counts = await refaultsByMinute(watched, SETTLED, 12 * 3_600);
      assert.ok(most(counts) <= REFAULTS_MAX, `${most(counts)} in a minute`);
      assert.ok(held(watched) < MAXIMUM / 2, 'it has given up what it does not need');
      assert.equal(watched.guest.kernel.oomKills, 0);
    });

    it(`loses it without the guard, with ${perSecond} pages read a second: what was promised does not count cache`, async () => {
      const watched = watch(reading(perSecond), bareHostPolicy);
      const counts = await refaultsByMinute(watched, SETTLED, 2 * 3_600);
      assert.ok(Math.min(...counts) > 20 * REFAULTS_MAX, `${Math.min(...counts)} in the best minute`);
      assert.ok(watched.guest.kernel.memory.cacheHot < WORKING_SET / 3);
    });
  }

  for (const perSecond of [10_000, 100_000]) {
    it(`pays for a try once an hour when it reads ${perSecond} a second, with what its kernel reclaims at a time`, async () => {
      const counts = await refaultsByMinute(watch(reading(perSecond), hostPolicy), SETTLED, 12 * 3_600);
      const batch = Math.ceil(MAXIMUM / 1_000);
      assert.ok(most(counts) <= batch, `${most(counts)} in a minute`);
      assert.ok(counts.filter((count) => count > REFAULTS_MAX).length <= 16);
      assert.ok(sum(counts) / counts.length <= REFAULTS_MAX / 20, `${sum(counts) / counts.length} a minute on average`);
    });
  }

  it('is found out at little cost: a tenth of its files are read again, once', async () => {
    for (const perSecond of [100, 1_000, 10_000]) {
      const watched = watch(reading(perSecond), hostPolicy);
      await watched.until(SETTLED);
      const { refaults } = watched.guest.kernel;
      assert.ok(refaults <= WORKING_SET / 10, `${refaults} pages, with ${perSecond} read a second`);
    }
  });

  it('keeps its cache where nobody counts refaults, and the reason says so', async () => {
    const watched = watch(LIVES.files, unseeing(hostPolicy));
    assert.equal(sum(await refaultsByMinute(watched, 0, 3_600)), 0);
    assert.ok(held(watched) < 0.6 * MAXIMUM, 'it gives up what is free');
    const { reason } = watched.rounds.decision('watched') ?? assert.fail();
    assert.equal(reason.code, 'cache-unwatched');
    assert.match(reason.detail ?? '', /^refaults: not-reported, /);
  });

  it('gets its cache back when it had lost it before the daemon came', async () => {
    const watched = watch(LIVES.files, hostPolicy);
    watched.guest.setTarget(inPages(250));
    watched.host.advanceTo(at(300));
    const after = startRounds(watched.host, DEFAULT_TUNABLES, hostPolicy);
    while (watched.host.now < at(SETTLED)) await after.round(INTERVAL);
    assert.ok(watched.guest.kernel.memory.cacheHot > 0.99 * WORKING_SET);
  });
});

describe('a guest that does not live from its page cache', () => {
  it('gives up files that it read once, and comes to where it would without the guard, not much later', async () => {
    const headStart = 660;
    const [bare, guarded] = [watch(READ_ONCE, bareHostPolicy, headStart), watch(READ_ONCE, hostPolicy, headStart)];
    assert.ok(guarded.guest.kernel.memory.cacheCold > inPages(700), 'its memory is full of them');
    await bare.until(headStart + 3_600);
    const there = held(bare);
    await guarded.until(headStart + 10 * 60);
    assert.ok(held(guarded) <= 1.05 * there, `${held(guarded)} pages after ten minutes, ${there} without the guard`);
    await guarded.until(headStart + 3_600);
    assert.ok(held(guarded) <= 1.01 * there, `${held(guarded)} pages in the end, ${there} without the guard`);
  });

  it('gives up what it kept when its use of it has ended', async () => {
    const ends = 2 * 3_600;
    const life = changed((demand, seconds) => {
      if (seconds >= ends) Object.assign(demand, { fileHotPages: 0, rereadsPerSecond: 0 });
    });
    const watched = watch(life, hostPolicy);
    await watched.until(ends);
    assert.ok(watched.guest.kernel.memory.cacheHot === WORKING_SET);
    const idle = watch(READ_ONCE, bareHostPolicy, 660);
    await idle.until(3_600);
    await watched.until(ends + 90 * 60);
    assert.ok(held(watched) <= 1.05 * held(idle), `${held(watched)} pages; ${held(idle)} would do`);
  });

  it('is not held up by the guard where it has none to speak of: an idle guest is small within three minutes', async () => {
    const [bare, guarded] = [watch(LIVES.idle, bareHostPolicy), watch(LIVES.idle, hostPolicy)];
    await bare.until(180);
    await guarded.until(180);
    assert.ok(held(guarded) <= 1.05 * held(bare), `${held(guarded)} pages, ${held(bare)} without the guard`);
  });
});
