/** Protects that a request is settled soon: a guest on its way is looked at when it is known to have moved, and one at rest is not. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Action } from '../../src/control/actions.js';
import type { Event } from '../../src/control/events.js';
import { createStep, initialState, type ControlState } from '../../src/control/step.js';
import { DEFAULT_TUNABLES } from '../../src/control/tunables.js';
import { selfPolicy, type SelfshrinkMemory } from '../../src/policies/index.js';
import { millis, pages } from '../../src/units.js';
import { readingOf } from '../support/readings.js';

const ID = 'fake/web';
const HELD = 134_072;
const capabilities = { canSetTarget: true, hasOverflowTier: true, isSimulated: true };

/** A core with one guest of which it has asked something at 5 s, by a reading. */
class Core {
  readonly #step = createStep(selfPolicy);
  #state: ControlState<SelfshrinkMemory>;
  wakeAt: number | null = null;
  readonly asked: Extract<Action, { kind: 'set-target' }>;

  constructor(intervalS = 5) {
    const tunables = { ...DEFAULT_TUNABLES, selfballoon_interval: intervalS };
    const settings = { tunables, isDryRun: false, hasFrontswap: true, limits: {} };
    this.#state = initialState(settings);
    this.tell(0, { kind: 'guest-came', guest: { id: ID, name: 'web', capabilities } });
    const asked = this.look(5_000, HELD).find(({ kind }) => kind === 'set-target');
    assert.ok(asked?.kind === 'set-target' && asked.target < HELD);
    this.asked = asked;
    this.tell(5_010, { kind: 'action-done', guest: ID, id: asked.id, note: null });
  }

  tell(now: number, ...events: readonly Event[]): readonly Action[] {
    const { state, actions, wakeAt } = this.#step(this.#state, events, millis(now));
    this.#state = state;
    this.wakeAt = wakeAt;
    return actions;
  }

  look(now: number, current: number): readonly Action[] {
    const reading = readingOf({ at: millis(now), current: pages(current), total: pages(current - 3_000) });
    return this.tell(now, { kind: 'reading', guest: ID, reading });
  }

  move(now: number): readonly string[] {
    return this.tell(now, { kind: 'guest-moved', guest: ID }).map(({ kind }) => kind);
  }
}

describe('a guest that has moved', () => {
  it('is looked at now where it was asked to, and not at the end of the interval', () => {
    const core = new Core();
    assert.equal(core.wakeAt, 10_000);
    assert.deepEqual(core.move(6_000), ['look']);
  });

  it('is looked at four times a second at most, however often it moves', () => {
    const core = new Core();
    assert.deepEqual(core.move(5_100), []);
    assert.equal(core.wakeAt, 5_250);
    assert.deepEqual(core.move(5_200), []);
    assert.deepEqual(core.move(5_250), ['look']);
    // One look is under way.
    assert.deepEqual(core.move(5_260), []);
  });

  it('is not looked at more often than once a second where that is its interval', () => {
    const core = new Core(1);
    assert.deepEqual(core.move(5_500), []);
    assert.equal(core.wakeAt, 6_000);
  });

  it('is not looked at sooner where the last look has failed', () => {
    const core = new Core();
    core.tell(6_000, { kind: 'reading-failed', guest: ID, code: 'EIO', message: 'no answer' });
    const { wakeAt } = core;
    assert.deepEqual(core.move(6_500), []);
    assert.equal(core.wakeAt, wakeAt);
  });

  it('is left alone where it is where it was asked to be', () => {
    const core = new Core();
    core.look(6_000, core.asked.target);
    const { wakeAt } = core;
    assert.deepEqual(core.move(6_500), []);
    assert.equal(core.wakeAt, wakeAt);
  });
});
