/**
 * Protects the core as a whole: when it looks, what it asks for and what it never asks for. Each safety rule is shown both
 * ways: with the reading or limit that triggers it, and with the same reading made sound.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Action } from '../../src/control/actions.js';
import type { Event } from '../../src/control/events.js';
import type { GuestDescription } from '../../src/control/ports.js';
import type { Reading } from '../../src/control/reading.js';
import { isRelieved } from '../../src/control/relief.js';
import { knownAt, unknown } from '../../src/control/signal.js';
import { createStep, initialState, type ControlSettings, type ControlState } from '../../src/control/step.js';
import { DEFAULT_TUNABLES } from '../../src/control/tunables.js';
import { floorPages, selfPolicy, type SelfshrinkMemory } from '../../src/policies/index.js';
import { millis, pages, type Pages } from '../../src/units.js';
import { readingOf } from '../support/readings.js';
import { useSeed } from '../support/seed.js';

useSeed();

const step = createStep(selfPolicy);
const SETTINGS: ControlSettings = {
  tunables: DEFAULT_TUNABLES,
  isDryRun: false,
  hasFrontswap: true,
  limits: {},
};
const GUEST: GuestDescription = {
  id: 'fake/web',
  name: 'web',
  capabilities: { canSetTarget: true, hasOverflowTier: true, isSimulated: true },
};

/** A core with one guest, told things at given times. */
class Core {
  state: ControlState<SelfshrinkMemory>;
  now = 0;
  wakeAt: number | null = null;

  constructor(settings: Partial<ControlSettings> = {}, guest: GuestDescription = GUEST) {
    this.state = initialState({ ...SETTINGS, ...settings });
    this.tell({ kind: 'guest-came', guest });
  }

  tell(...events: readonly Event[]): readonly Action[] {
    const result = step(this.state, events, millis(this.now));
    this.state = result.state;
    this.wakeAt = result.wakeAt;
    return result.actions;
  }

  /** Lets time pass until the core looks, and answers with `reading`, stamped with that time. */
  round(given: Parameters<typeof readingOf>[0] = {}, change: Partial<Reading> = {}): readonly Action[] {
    const isLooking = this.state.guests.get(GUEST.id)?.lookingSince !== null;
    if (!isLooking) this.now = Math.max(this.now, this.wakeAt ?? this.now);
    const looked = isLooking ? [] : this.tell({ kind: 'time-passed' });
    const reading = { ...readingOf({ ...given, at: millis(this.now) }), ...change };
    return [...looked, ...this.tell({ kind: 'reading', guest: GUEST.id, reading })];
  }

  /** Two rounds: the first step comes only after an interval. */
  decide(given: Parameters<typeof readingOf>[0] = {}, change: Partial<Reading> = {}): readonly Action[] {
    this.round(given, change);
    return this.round(given, change);
  }
}

const targetOf = (actions: readonly Action[]): Pages | null => {
  const found = actions.find((action) => action.kind === 'set-target');
  return found?.kind === 'set-target' ? found.target : null;
};

describe('the rhythm', () => {
  it('looks at once, decides after one interval, and then every interval', () => {
    const core = new Core();
    assert.equal(targetOf(core.round()), null);
    assert.equal(core.wakeAt, 5_000);
    assert.notEqual(targetOf(core.round()), null);
    assert.equal(core.now, 5_000);
    assert.equal(core.wakeAt, 10_000);
  });

  it('keeps its beat, however long each answer takes', () => {
    const core = new Core();
    core.round();
    const looks: number[] = [];
    for (const answerMs of [0, 100, 2_000, 30, 0]) {
      core.now = core.wakeAt ?? NaN;
      looks.push(core.now);
      core.tell({ kind: 'time-passed' });
      core.now += answerMs;
      core.tell({ kind: 'reading', guest: GUEST.id, reading: readingOf({ at: millis(core.now) }) });
    }
    assert.deepEqual(looks, [5_000, 10_000, 15_000, 20_000, 25_000]);
  });

  it('sees at the end of its patience that a guest of shared memory stands still, whatever the beat', () => {
    const tunables = { ...DEFAULT_TUNABLES, selfballoon_interval: 2 };
    const core = new Core({ tunables }, { ...GUEST, pool: 'host' });
    core.round();
    let asked: number | null = null;
    let isStuck = false;
    while (!isStuck && core.now < 20_000) {
      core.now = core.wakeAt ?? NaN;
      core.tell({ kind: 'time-passed' });
      // The look that the request follows from is answered late, the others are not.
      core.now += asked === null ? 300 : 100;
      const actions = core.tell({ kind: 'reading', guest: GUEST.id, reading: readingOf({ at: millis(core.now) }) });
      if (targetOf(actions) !== null) asked ??= core.now;
      for (const action of actions) {
        if (action.kind === 'set-target')
          core.tell({ kind: 'action-done', guest: GUEST.id, id: action.id, note: null });
      }
      isStuck = actions.some((action) => action.kind === 'tell' && action.code === 'stuck');
    }
    assert.equal(core.now - (asked ?? NaN), 4_100);
  });

  for (const [which, isSeenWithAll, length] of [
    ['of its own', false, 1_000],
    ['that it shares, where one look is at all guests', true, 4_000],
  ] as const)
    it(`asks about a guest of shared memory on a beat ${which}, also after what came between two`, () => {
      const core = new Core({}, { ...GUEST, pool: 'host', isSeenWithAll });
      core.now = 60;
      core.round();
      const dues: number[] = [];
      const look = (answerMs: number): void => {
        core.now = core.wakeAt ?? NaN;
        core.tell({ kind: 'time-passed' });
        core.now += answerMs;
        core.tell({ kind: 'reading', guest: GUEST.id, reading: readingOf({ at: millis(core.now) }) });
        dues.push(core.state.guests.get(GUEST.id)?.policyDueAt ?? NaN);
      };
      for (const answerMs of [40, 700, 0, 90, 2_900, 10]) look(answerMs);
      const before = dues.at(-1) ?? NaN;
      const write = { id: 1, name: 'selfballoon_interval', text: '4', mayChange: true } as const;
      core.tell({ kind: 'tunable-write', ...write });
      assert.ok((core.state.guests.get(GUEST.id)?.policyDueAt ?? NaN) <= before, 'a write has put the step off');
      for (const answerMs of [40, 700, 0, 90, 1_900, 10, 10, 10]) look(answerMs);
      assert.equal(new Set(dues.map((due) => due % 1_000)).size, 1, dues.join());
      assert.equal(new Set(dues.slice(-3).map((due) => due % length)).size, 1, dues.join());
    });

  it('asks once for a look and waits for the answer', () => {
    const core = new Core();
    core.round();
    core.now = 5_000;
    assert.deepEqual(core.tell({ kind: 'time-passed' }), [{ kind: 'look', guest: GUEST.id }]);
    core.now = 9_000;
    assert.deepEqual(core.tell({ kind: 'time-passed' }), []);
  });

  it('looks again when the answer was lost', () => {
    const core = new Core();
    core.now = 30_000;
    assert.deepEqual(core.tell({ kind: 'time-passed' }), [{ kind: 'look', guest: GUEST.id }]);
  });

  it('goes on after a look that failed', () => {
    const core = new Core();
    core.tell({ kind: 'reading-failed', guest: GUEST.id, code: 'EIO', message: 'socket closed' });
    assert.equal(core.wakeAt, 5_000);
    assert.notEqual(targetOf(core.round()), null);
  });
});

describe('never below the floor, never above the ceiling', () => {
  it('holds the administrator’s floor', () => {
    const core = new Core({ limits: { web: { floor: pages(134_000), ceiling: null } } });
    assert.equal(targetOf(core.decide()), 134_000);
    assert.ok((targetOf(new Core().decide()) ?? Infinity) < 134_000);
  });

  it('does not believe a maximum below what the guest holds', () => {
    assert.ok((targetOf(new Core().decide({ maximum: 1 })) ?? 0) > 100_000);
  });

  it('holds the guest’s maximum', () => {
    const greedy = { committed: 500_000, maximum: 140_000 };
    assert.equal(targetOf(new Core().decide(greedy)), 140_000);
    assert.ok((targetOf(new Core().decide({ ...greedy, maximum: 600_000 })) ?? 0) > 140_000);
  });
});

describe('unknown may not shrink', () => {
  const old = knownAt(pages(50_000), millis(-2_000));
  const cases: readonly (readonly [string, Partial<Reading>])[] = [
    ['a stale signal', { committed: old }],
    ['a missing signal', { committed: unknown('not-reported', 'no Committed_AS') }],
    ['a signal past all belief', { committed: knownAt((2 ** 60) as Pages, millis(5_000)) }],
    ['a reading that contradicts itself', { free: knownAt(pages(999_999), millis(5_000)) }],
  ];
  for (const [name, change] of cases) {
    it(`asks for nothing on ${name}`, () => {
      assert.equal(targetOf(new Core().decide({}, change)), null);
    });
  }
  it('asks for less on the same reading without them', () => {
    assert.ok((targetOf(new Core().decide()) ?? Infinity) < 134_072);
  });
});

describe('observing', () => {
  it('decides and asks for nothing, in a dry run and for a guest that cannot be driven', () => {
    const watched = { ...GUEST, capabilities: { ...GUEST.capabilities, canSetTarget: false } };
    for (const core of [new Core({ isDryRun: true }), new Core({}, watched)]) {
      const actions = core.decide({ overflowUsed: 100 });
      assert.ok(actions.every((action) => action.kind === 'look' || action.kind === 'tell'));
      assert.notEqual(core.state.guests.get(GUEST.id)?.decision?.target ?? null, null);
      assert.deepEqual(
        core.tell({ kind: 'release', id: 7 }).filter(({ kind }) => kind === 'set-target'),
        [],
      );
    }
  });
});

describe('tunables', () => {
  const write = (name: string, text: string, mayChange = true): Event => ({
    kind: 'tunable-write',
    id: 9,
    name,
    text,
    mayChange,
  });

  it('answers a refused write and changes nothing', () => {
    const core = new Core();
    const before = core.state.tunables;
    const answers = core.tell(write('selfballoon_interval', '0'), write('selfballoon_interval', '9', false));
    assert.deepEqual(
      answers.flatMap((action) => (action.kind === 'answer' ? [action.answer.result] : [])),
      ['EINVAL', 'EPERM'],
    );
    assert.equal(core.state.tunables, before);
  });

  it('uses a written value from the next step on', () => {
    const core = new Core();
    core.round();
    core.tell(write('selfballoon_downhysteresis', '1'));
    const eager = targetOf(core.round()) ?? 0;
    assert.ok(eager < (targetOf(new Core().decide()) ?? 0));
  });

  it('comes back at once from an interval of a hundred years, and looks all the while', () => {
    const core = new Core();
    core.round();
    core.tell(write('selfballoon_interval', '4294967295'));
    core.round();
    core.round();
    assert.equal(core.wakeAt, core.now + 60_000);
    core.tell(write('selfballoon_interval', '2'));
    assert.equal(core.wakeAt, core.now + 2_000);
    assert.notEqual(targetOf(core.round()), null);
  });

  it('sleeps with both switches off, still looks, and wakes an interval after one is switched on', () => {
    const core = new Core();
    core.round();
    core.tell(write('selfballooning', '0'), write('frontswap_selfshrinking', '0'));
    core.round();
    core.round();
    assert.equal(core.state.guests.get(GUEST.id)?.policyDueAt, null);
    const from = core.now;
    core.tell(write('selfballooning', '1'));
    assert.equal(core.wakeAt, from + 5_000);
    assert.notEqual(targetOf(core.round()), null);
  });
});

describe('release', () => {
  it('asks for the most, switches off, and asks for nothing more', () => {
    const core = new Core();
    core.decide();
    const actions = core.tell({ kind: 'release', id: 3 });
    assert.equal(targetOf(actions), 262_144);
    assert.ok(actions.some((action) => action.kind === 'answer' && action.id === 3));
    assert.equal(core.state.tunables.selfballooning, 0);
    assert.equal(targetOf([...core.round(), ...core.round()]), null);
  });

  it('says so when nobody knows how much the guest may have', () => {
    const core = new Core();
    core.decide({}, { maximum: unknown('not-reported', '') });
    const actions = core.tell({ kind: 'release', id: 3 });
    assert.ok(actions.some((action) => action.kind === 'tell' && action.code === 'cannot-release'));
  });
});

describe('guests that come and go', () => {
  it('ignores what is said of a guest that has left', () => {
    const core = new Core();
    core.tell({ kind: 'guest-left', guest: GUEST.id });
    assert.deepEqual(
      core.round().filter(({ kind }) => kind !== 'tell'),
      [],
    );
    assert.equal(core.wakeAt, null);
  });
});

describe('a guest under pressure that holds more than its ceiling', () => {
  it('keeps what it holds, also where it had been told to give nearly all of it up', () => {
    const core = new Core({ limits: { web: { floor: pages(20_000), ceiling: pages(150_000) } } });
    const look = (current: number, total: number): Event => {
      const at = millis(core.now);
      const sizes = { current, maximum: current + 1, total, committed: 0 };
      const signals = Object.entries(sizes).map(([name, value]) => [name, knownAt(value as Pages, at)] as const);
      return { kind: 'reading', guest: GUEST.id, reading: { ...readingOf({ at }), ...Object.fromEntries(signals) } };
    };
    core.tell(look(0, 0));
    core.now += 4_572;
    const alarm = { cause: 'low', at: millis(core.now), availablePages: null, totalPages: null } as const;
    core.tell({ kind: 'guest-alarm', guest: GUEST.id, alarm });
    core.now += 428;
    assert.equal(targetOf(core.tell(look(150_001, -1))), 150_001);
  });
});

describe('any order of events', () => {
  const size = fc.oneof(fc.integer({ min: 0, max: 300_000 }), fc.constantFrom(-1, 2 ** 53, 2 ** 41, 0.5));
  const event = fc.oneof(
    fc
      .record({ total: size, committed: size, current: size, overflowUsed: size, maximum: size, reserve: size })
      .map((given) => {
        return (core: Core): Event => {
          const at = millis(core.now);
          const signals = Object.fromEntries(
            Object.entries(given).map(([name, value]) => [name, knownAt(value as Pages, at)]),
          );
          return { kind: 'reading', guest: GUEST.id, reading: { ...readingOf({ at }), ...signals } };
        };
      }),
    fc
      .integer({ min: 0, max: 20 })
      .map((id) => (): Event => ({ kind: 'action-done', guest: GUEST.id, id, note: null })),
    fc
      .integer({ min: 0, max: 20 })
      .map((id) => (): Event => ({ kind: 'action-failed', guest: GUEST.id, id, code: 'EIO', message: 'no' })),
    fc.constant((): Event => ({ kind: 'reading-failed', guest: GUEST.id, code: 'EIO', message: 'no' })),
    fc.constant((): Event => ({ kind: 'time-passed' })),
    fc.constant((core: Core): Event => {
      const alarm = { cause: 'low', at: millis(core.now), availablePages: null, totalPages: null } as const;
      return { kind: 'guest-alarm', guest: GUEST.id, alarm };
    }),
    fc.constant((): Event => ({ kind: 'guest-moved', guest: GUEST.id })),
    fc.constant((): Event => ({ kind: 'guest-left', guest: GUEST.id })),
    fc.constant((): Event => ({ kind: 'guest-came', guest: GUEST })),
    fc
      .constantFrom('0', '1')
      .map((text) => (): Event => ({ kind: 'tunable-write', id: 1, name: 'selfballooning', text, mayChange: true })),
  );
  const limits = { floor: pages(20_000), ceiling: pages(150_000) };

  it('never throws, never asks outside the limits, never shrinks a guest on numbers that cannot be', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 9_000 }), event), { maxLength: 60 }), (script) => {
        const core = new Core({ limits: { web: limits } });
        for (const [pause, make] of script) {
          core.now += pause;
          const target = targetOf(core.tell(make(core)));
          if (target === null) continue;
          const { reading, relief } = core.state.guests.get(GUEST.id) ?? assert.fail();
          assert.ok(Number.isSafeInteger(target));
          if (isRelieved(relief, millis(core.now)) || reading === null) {
            // Nothing is taken, and what is physically possible still holds.
            const most = reading?.maximum.known === true ? reading.maximum.value : Infinity;
            assert.ok(reading?.current.known !== true || target >= Math.min(reading.current.value, most));
            continue;
          }
          const { current, total, maxPfn, reserve, maximum, committed } = reading;
          assert.ok(current.known);
          if (!total.known || !maxPfn.known || !reserve.known || !committed.known) {
            // What is not known takes nothing; but the administrator's floor holds.
            assert.ok(target > current.value && target <= limits.floor);
            continue;
          }
          const most = maximum.known ? maximum.value : Infinity;
          const policyFloor = floorPages(maxPfn.value, reserve.value, 0) + current.value - total.value;
          // An administrator's ceiling is approached from above; nobody is ever raised past it, but to the policy's floor.
          assert.ok(target <= Math.min(most, Math.max(limits.ceiling, policyFloor, current.value - 1)));
          assert.ok(target >= Math.min(limits.floor, most, Math.max(limits.ceiling, policyFloor)));
        }
      }),
    );
  });
});
