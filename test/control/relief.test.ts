/** Protects what an alarm leads to: everything back at once, and a rest that grows when alarms come again and again. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Action } from '../../src/control/actions.js';
import type { Alarm } from '../../src/control/alarm.js';
import { lowLevel } from '../../src/control/alarm.js';
import type { Event } from '../../src/control/events.js';
import type { GuestLimits } from '../../src/control/limits.js';
import type { Reading } from '../../src/control/reading.js';
import { SAFEGUARDS } from '../../src/control/safeguards.js';
import { unknown } from '../../src/control/signal.js';
import { beginRelief, isRelieved } from '../../src/control/relief.js';
import { createStep, initialState, type ControlState } from '../../src/control/step.js';
import { DEFAULT_TUNABLES } from '../../src/control/tunables.js';
import { selfPolicy, type SelfshrinkMemory } from '../../src/policies/index.js';
import { millis, pages } from '../../src/units.js';
import { readingOf } from '../support/readings.js';

const ID = 'fake/web';
const MAXIMUM = 262_144;
const capabilities = { canSetTarget: true, hasOverflowTier: true, isSimulated: true };

interface Given {
  readonly isDryRun?: boolean;
  readonly limits?: GuestLimits;
  readonly selfballooning?: number;
  readonly relieve?: typeof SAFEGUARDS.relieve;
}

/** A core with one guest that can be told of an alarm at any second. */
class Core {
  readonly #step;
  state: ControlState<SelfshrinkMemory>;
  now = 0;
  current = 134_072;

  constructor({ isDryRun = false, limits, selfballooning = 1, relieve = SAFEGUARDS.relieve }: Given = {}) {
    this.#step = createStep(selfPolicy, { ...SAFEGUARDS, relieve });
    this.state = initialState({
      tunables: { ...DEFAULT_TUNABLES, selfballooning },
      isDryRun,
      hasFrontswap: true,
      limits: limits === undefined ? {} : { [ID]: limits },
    });
    this.tell({ kind: 'guest-came', guest: { id: ID, name: 'web', capabilities } });
  }

  tell(...events: readonly Event[]): readonly Action[] {
    const result = this.#step(this.state, events, millis(this.now));
    this.state = result.state;
    return result.actions;
  }

  /** Goes on to `seconds`, looking each second and obeying every target at once. Returns the targets asked for. */
  liveUntil(seconds: number, overflowUsed = 0): readonly number[] {
    const targets: number[] = [];
    while (this.now < seconds * 1000) {
      this.now += 1000;
      const current = pages(this.current);
      const total = pages(this.current - 3_000);
      const reading = readingOf({ at: millis(this.now), current, total, overflowUsed });
      for (const action of this.tell({ kind: 'reading', guest: ID, reading })) {
        if (action.kind !== 'set-target') continue;
        targets.push(action.target);
        this.current = action.target;
        this.tell({ kind: 'action-done', guest: ID, id: action.id, note: null });
      }
    }
    return targets;
  }

  alarm(given: Partial<Alarm> = {}): readonly Action[] {
    const alarm: Alarm = {
      cause: 'stalled',
      at: millis(this.now),
      availablePages: pages(100),
      totalPages: null,
      ...given,
    };
    return this.tell({ kind: 'guest-alarm', guest: ID, alarm });
  }
}

const targetsIn = (actions: readonly Action[]): readonly number[] =>
  actions.flatMap((action) => (action.kind === 'set-target' ? [action.target] : []));

describe('an alarm', () => {
  it('asks for everything in the same step, whatever the interval', () => {
    const core = new Core();
    core.liveUntil(60);
    assert.ok(core.current < 90_000);
    assert.deepEqual(targetsIn(core.alarm()), [MAXIMUM]);
  });

  it('does so while every other signal is unknown: what is not known may grow', () => {
    const core = new Core();
    core.liveUntil(60);
    core.now += 3_600_000;
    core.tell({ kind: 'reading-failed', guest: ID, code: 'EIO', message: 'gone' });
    assert.deepEqual(targetsIn(core.alarm()), [MAXIMUM]);
  });

  it('takes nothing while nobody knows what the guest could have, and asks for that as soon as it is known', () => {
    const core = new Core();
    const withoutMaximum = { maximum: unknown('not-reported', 'the balloon moves') };
    const look = (more: Partial<Reading>): readonly number[] => {
      core.now += 5_000;
      const current = pages(core.current);
      const reading = readingOf({ at: millis(core.now), current, total: pages(core.current - 3_000), overflowUsed: 0 });
      return targetsIn(core.tell({ kind: 'reading', guest: ID, reading: { ...reading, ...more } }));
    };
    core.current = 100_000;
    const [first = NaN] = look(withoutMaximum);
    assert.ok(first < 100_000, 'it goes down, with its maximum or without');
    assert.deepEqual(targetsIn(core.alarm()), []);
    assert.deepEqual(look(withoutMaximum), []);
    assert.deepEqual(look({}), [MAXIMUM]);
  });

  it('keeps to the ceiling of the administrator, and takes nothing from a guest that holds more', () => {
    const core = new Core({ limits: { floor: pages(0), ceiling: pages(120_000) } });
    core.liveUntil(1);
    assert.deepEqual(targetsIn(core.alarm()), []);
    core.liveUntil(120);
    assert.deepEqual(targetsIn(core.alarm()), [120_000]);
  });

  it('asks once, however often it is repeated, until the guest has answered', () => {
    const core = new Core();
    core.liveUntil(60);
    assert.equal(targetsIn(core.alarm()).length, 1);
    for (let n = 0; n < 10; n += 1) assert.deepEqual(targetsIn(core.alarm({ cause: 'low' })), []);
  });

  it('asks again when the hypervisor refused', () => {
    const core = new Core();
    core.liveUntil(60);
    const [action] = core.alarm().filter(({ kind }) => kind === 'set-target');
    assert.ok(action?.kind === 'set-target');
    core.tell({ kind: 'action-failed', guest: ID, id: action.id, code: 'EIO', message: 'no' });
    assert.deepEqual(targetsIn(core.alarm()), [MAXIMUM]);
  });

  it('is told to a person once for each relief, with the cause', () => {
    const core = new Core();
    core.liveUntil(60);
    const told = [...core.alarm({ cause: 'low' }), ...core.alarm()].flatMap((action) =>
      action.kind === 'tell' ? [`${action.code}: ${action.text}`] : [],
    );
    assert.deepEqual(told, ['under-pressure: is under pressure (little memory is available): gets everything back']);
  });

  it('changes nothing in a dry run, and says what it would do', () => {
    const core = new Core({ isDryRun: true });
    core.liveUntil(60);
    const result = createStep(selfPolicy)(
      core.state,
      [
        {
          kind: 'guest-alarm',
          guest: ID,
          alarm: { cause: 'low', at: millis(core.now), availablePages: null, totalPages: null },
        },
      ],
      millis(core.now),
    );
    assert.deepEqual(targetsIn(result.actions), []);
    assert.equal(result.decisions[0]?.reason.code, 'under-pressure');
  });

  it('is nothing to us while self-ballooning is switched off', () => {
    const core = new Core({ selfballooning: 0 });
    core.liveUntil(10);
    assert.deepEqual(core.alarm(), []);
  });

  it('asks for nothing where nothing was taken', () => {
    const core = new Core();
    core.current = MAXIMUM;
    core.liveUntil(1);
    assert.deepEqual(core.alarm(), []);
  });
});

describe('the rest after an alarm', () => {
  it('takes nothing for 30 s, and then goes on as before', () => {
    const core = new Core();
    core.liveUntil(60);
    core.current = Number(targetsIn(core.alarm())[0]);
    assert.deepEqual(core.liveUntil(89), []);
    assert.equal(core.state.guests.get(ID)?.decision?.reason.code, 'under-pressure');
    const later = core.liveUntil(100);
    assert.ok(later.length > 0 && later.every((target) => target < MAXIMUM));
  });

  it('does not bring swapped pages home meanwhile, for which room is needed', () => {
    const core = new Core();
    core.liveUntil(60, 10_000);
    core.alarm();
    const actions: Action[] = [];
    while (core.now < 88_000) {
      core.now += 1_000;
      const reading = readingOf({ at: millis(core.now), overflowUsed: 10_000 });
      actions.push(...core.tell({ kind: 'reading', guest: ID, reading }));
    }
    assert.deepEqual(
      actions.filter(({ kind }) => kind === 'shrink-overflow'),
      [],
    );
  });

  it('asks for everything again when the guest did not get it', () => {
    const core = new Core();
    core.liveUntil(60);
    core.alarm();
    // The guest did not move: `current` is what it was.
    assert.deepEqual(core.liveUntil(66), [MAXIMUM]);
  });

  it('is needed: without it the next round takes again, a few seconds after the alarm', () => {
    const core = new Core({ relieve: () => null });
    core.liveUntil(60);
    const before = core.current;
    assert.deepEqual(targetsIn(core.alarm()), []);
    core.current = MAXIMUM;
    assert.ok(core.liveUntil(66).some((target) => target < MAXIMUM && target > before));
  });

  it('ends when self-ballooning is switched off', () => {
    const core = new Core();
    core.liveUntil(60);
    core.alarm();
    core.tell({ kind: 'tunable-write', id: 1, name: 'selfballooning', text: '0', mayChange: true });
    assert.equal(core.state.guests.get(ID)?.relief, null);
  });

  it('doubles when alarms come soon after one another, to 16 minutes at most, and starts over after ten calm minutes', () => {
    let relief = beginRelief(null, millis(0));
    const holds = [relief.hold as number];
    for (let n = 0; n < 7; n += 1) {
      relief = beginRelief(relief, millis(relief.until + 60_000));
      holds.push(relief.hold);
    }
    assert.deepEqual(holds, [30_000, 60_000, 120_000, 240_000, 480_000, 960_000, 960_000, 960_000]);
    assert.equal(beginRelief(relief, millis(relief.until + 600_001)).hold, 30_000);
  });

  it('is made longer, not doubled, by alarms while it lasts', () => {
    const first = beginRelief(null, millis(0));
    const again = beginRelief(first, millis(20_000));
    assert.deepEqual(again, { until: 50_000, hold: 30_000 });
    assert.equal(isRelieved(again, millis(49_999)), true);
    assert.equal(isRelieved(again, millis(50_000)), false);
  });
});

describe('the level at which memory is low', () => {
  it('is a twentieth of what the kernel manages: half of the room of 10 %', () => {
    assert.equal(lowLevel(pages(131_072)), 6_553);
    assert.equal(lowLevel(pages(0)), 0);
  });
});
