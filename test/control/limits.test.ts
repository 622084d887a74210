/** Protects guests from targets outside their limits, and everyone from numbers that cannot be true. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ceilingNow,
  joinLimits,
  limitsFor,
  limitTarget,
  NO_LIMITS,
  type GuestLimits,
  type LimitQuestion,
} from '../../src/control/limits.js';
import { believable } from '../../src/control/believe.js';
import { knownAt, NOT_REPORTED, unknown, type Signal } from '../../src/control/signal.js';
import { millis, pages, type Pages } from '../../src/units.js';
import { readingOf } from '../support/readings.js';

const NOW = millis(100_000);
const AGE_MAX = millis(6_000);
const signal = (value: number, at = NOW): Signal<Pages> => knownAt(value as Pages, at);

describe('what is set for a guest', () => {
  const set: GuestLimits = { floor: pages(100), ceiling: null };

  it('is found by its id first, and then by its name', () => {
    const other: GuestLimits = { floor: pages(200), ceiling: null };
    assert.equal(limitsFor({ 'qmp/web': set, web: other }, { id: 'qmp/web', name: 'web' }), set);
    assert.equal(limitsFor({ web: other }, { id: 'qmp/web', name: 'web' }), other);
    assert.equal(limitsFor({ web: other }, { id: 'qmp/db', name: 'db' }), null);
  });

  it('is nothing for one that is called as what every object has, unless it is set', () => {
    for (const name of ['constructor', 'toString', '__proto__']) {
      assert.equal(limitsFor({}, { id: name, name }), null);
      assert.equal(limitsFor(Object.fromEntries([[name, set]]), { id: `qmp/${name}`, name }), set);
    }
  });
});

describe('a target', () => {
  const ask = (changes: Partial<LimitQuestion>): ReturnType<typeof limitTarget> =>
    limitTarget({
      wished: pages(150),
      policyFloor: pages(10),
      limits: { floor: pages(100), ceiling: pages(200) },
      maximum: signal(1_000),
      current: pages(150),
      downHysteresis: 8,
      ...changes,
    });

  it('is raised to the floor and cut at the ceiling', () => {
    assert.deepEqual(ask({ wished: pages(50) }), { kind: 'clamped-to-floor', target: 100 });
    assert.deepEqual(ask({ wished: pages(300) }), { kind: 'clamped-to-ceiling', target: 200 });
    assert.deepEqual(ask({}), { kind: 'as-wished', target: 150 });
  });

  it('never passes the guest’s own maximum, whatever the floor', () => {
    assert.deepEqual(ask({ wished: pages(50), maximum: signal(80) }), { kind: 'clamped-to-ceiling', target: 80 });
  });

  it('goes down to a ceiling step by step, and arrives', () => {
    const limits = { floor: pages(0), ceiling: pages(100) };
    let current = pages(1_000);
    const way: number[] = [];
    for (let round = 0; round < 60; round += 1) {
      current = ask({ wished: pages(900), limits, current }).target;
      way.push(current);
    }
    assert.equal(way[0], 887);
    assert.equal(way.at(-1), 100);
  });

  it('is not taken below the policy’s floor by a ceiling', () => {
    const limits = { floor: pages(0), ceiling: pages(1) };
    assert.deepEqual(ask({ wished: pages(150), limits, current: pages(40), policyFloor: pages(40) }), {
      kind: 'clamped-to-ceiling',
      target: 40,
    });
  });

  it('has the lower of the administrator’s ceiling and the guest’s maximum', () => {
    assert.equal(ceilingNow({ ...NO_LIMITS, ceiling: pages(50) }, signal(80)), 50);
    assert.equal(ceilingNow({ ...NO_LIMITS, ceiling: pages(90) }, signal(80)), 80);
    assert.equal(ceilingNow(NO_LIMITS, NOT_REPORTED), null);
  });
});

describe('limits in the configuration and those of the hypervisor’s administrator', () => {
  const limits = (floor: number, ceiling: number | null): GuestLimits => ({
    floor: pages(floor),
    ceiling: ceiling === null ? null : pages(ceiling),
  });
  /** As XAPI writes them where nobody has set a range: both the whole memory. */
  const whole = limits(512, 512);

  for (const { configured, given, joined, why } of [
    { configured: limits(100, 300), given: whole, joined: limits(100, 300), why: 'both bounds come first' },
    {
      configured: limits(0, 300),
      given: whole,
      joined: limits(300, 300),
      why: 'a ceiling comes before a floor above it',
    },
    { configured: limits(100, null), given: whole, joined: limits(100, 512), why: 'a floor comes before a higher one' },
    {
      configured: limits(600, null),
      given: whole,
      joined: limits(600, 600),
      why: 'a floor comes before a ceiling below it',
    },
    { configured: limits(0, 700), given: limits(200, 512), joined: limits(200, 700), why: 'a floor that fits counts' },
    {
      configured: limits(100, null),
      given: limits(0, 512),
      joined: limits(100, 512),
      why: 'a ceiling that fits counts',
    },
    { configured: limits(100, null), given: limits(50, null), joined: limits(100, null), why: 'no ceiling is none' },
    { configured: NO_LIMITS, given: limits(200, 512), joined: limits(200, 512), why: 'the others count alone' },
    { configured: limits(0, 700), given: NO_LIMITS, joined: limits(0, 700), why: 'the configuration counts alone' },
  ]) {
    it(`are joined bound by bound: ${why}`, () => {
      assert.deepEqual(joinLimits(configured, given), joined);
    });
  }

  it('never go below what is firm, and are never the wrong way round', () => {
    assert.deepEqual(joinLimits(limits(100, 300), NO_LIMITS, pages(400)), limits(400, 400));
    assert.deepEqual(joinLimits(limits(100, 500), NO_LIMITS, pages(400)), limits(400, 500));
    assert.deepEqual(joinLimits(limits(450, null), NO_LIMITS, pages(400)), limits(450, null));
    assert.deepEqual(joinLimits(NO_LIMITS, limits(0, 300), pages(400)), limits(400, 400));
  });
});

describe('a reading', () => {
  const sound = readingOf({ at: NOW });

  it('is left as it is when nothing is wrong with it', () => {
    assert.equal(believable(sound, NOW, AGE_MAX), sound);
  });

  it('loses what was true too long ago, or is only going to be', () => {
    for (const at of [millis(NOW - 6_001), millis(NOW + 1)]) {
      const { committed, total } = believable({ ...sound, committed: signal(5, at) }, NOW, AGE_MAX);
      assert.equal(committed.known ? '' : committed.reason, 'stale');
      assert.equal(total.known, true);
    }
  });

  for (const value of [-1, 0.5, Number.NaN, 2 ** 41, 2 ** 63, Infinity]) {
    it(`loses a count of ${value}`, () => {
      const { committed } = believable({ ...sound, committed: signal(value) }, NOW, AGE_MAX);
      assert.equal(committed.known ? '' : committed.reason, 'implausible');
    });
  }

  it('is believed for longer where it changes with the hardware only: the kernel’s reserve and its highest frame', () => {
    const now = millis(300_000);
    const knownIn = (age: number, ageMax = AGE_MAX): readonly boolean[] => {
      const extent = signal(5, millis(now - age));
      const reading = { ...readingOf({ at: now }), reserve: extent, maxPfn: extent };
      const { reserve, maxPfn, total } = believable(reading, now, ageMax);
      return [reserve.known, maxPfn.known, total.known];
    };
    assert.deepEqual(knownIn(90_000), [true, true, true]);
    assert.deepEqual(knownIn(90_001), [false, false, true]);
    assert.deepEqual(knownIn(-1), [false, false, true]);
    assert.deepEqual(knownIn(200_000, millis(200_000)), [true, true, true]);
  });

  it('is not believed at all when it contradicts itself', () => {
    const liars = [
      { ...sound, free: signal(131_073) },
      { ...sound, available: signal(131_073) },
      { ...sound, total: signal(0) },
      { ...sound, current: signal(0) },
    ];
    for (const liar of liars) {
      const { total, committed } = believable(liar, NOW, AGE_MAX);
      assert.equal(total.known ? '' : total.reason, 'implausible');
      assert.equal(committed.known, false);
    }
  });

  it('loses a maximum below what the guest holds, and nothing else', () => {
    const { maximum, committed } = believable({ ...sound, maximum: signal(1) }, NOW, AGE_MAX);
    assert.equal(maximum.known ? '' : maximum.reason, 'implausible');
    assert.equal(committed.known, true);
  });

  it('loses what is plugged in where that is more than the whole, is old, or cannot be', () => {
    const { current, maximum } = sound;
    assert.ok(current.known && maximum.known);
    const growth = { plugged: signal(current.value), asked: signal(5), pluggable: signal(maximum.value) };
    const given = { ...sound, growth };
    assert.deepEqual(believable(given, NOW, AGE_MAX), given);
    const known = (change: object): boolean[] => {
      const { growth: left } = believable({ ...sound, growth: { ...growth, ...change } }, NOW, AGE_MAX);
      return [left?.plugged, left?.asked, left?.pluggable].map((kept) => kept?.known === true);
    };
    assert.deepEqual(known({ plugged: signal(current.value + 1) }), [false, true, true]);
    assert.deepEqual(known({ pluggable: signal(maximum.value + 1) }), [true, true, false]);
    assert.deepEqual(known({ asked: signal(2 ** 41) }), [true, false, true]);
    assert.deepEqual(known({ plugged: signal(5, millis(NOW - 6_001)) }), [false, true, true]);
    // Whoever contradicts himself keeps what his hypervisor says of him.
    assert.deepEqual(believable({ ...given, free: signal(131_073) }, NOW, AGE_MAX).growth, growth);
  });

  it('keeps the reason of what was unknown before', () => {
    const torn = { ...sound, reserve: unknown('malformed', 'cut short') };
    assert.deepEqual(believable(torn, NOW, AGE_MAX).reserve, unknown('malformed', 'cut short'));
  });
});
