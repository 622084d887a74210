/** Protects what a balloon's statistics mean: in pages, of their own time, and with what the balloon does to them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { balloonSignals, saidAt, silentBalloon, type BalloonStats } from '../../src/signals/balloon-stats.js';
import { HeldBefore } from '../../src/signals/held-before.js';
import { millis, pages } from '../../src/units.js';

const AT = millis(50_000);
const TIMES = { at: AT, wall: millis(1_800_000_050_000) };
const NOTHING: BalloonStats = {
  total: null,
  available: null,
  free: null,
  cached: null,
  hasSwapped: false,
  majorFaults: null,
  oomKills: null,
};
const saying = (total: number, available: number): BalloonStats => ({
  ...NOTHING,
  total: pages(total),
  available: pages(available),
});
const sizes = (actual: number, deflatesOnOom: boolean, before = new HeldBefore()) => ({
  actual: pages(actual),
  deflatesOnOom,
  before,
});

/** What a guest held that has moved within the second before `AT`, and what it used before that. */
function moved(from: number, to: number, used: number | null): HeldBefore {
  const before = new HeldBefore();
  before.note(pages(from), millis(AT - 5_000));
  before.note(pages(to), millis(AT + 500));
  before.used = used === null ? null : pages(used);
  return before;
}

describe('the statistics of a balloon', () => {
  it('are signals of the time at which the guest said so', () => {
    const { total, used } = balloonSignals(saying(1_000, 700), sizes(1_000, true), millis(7));
    assert.deepEqual(total, { known: true, value: 1_000, at: 7 });
    assert.deepEqual(used, { known: true, value: 300, at: 7 });
  });

  it('are not reported, each for itself, where the guest does not say them', () => {
    const { total, free, majorFaults } = balloonSignals(NOTHING, sizes(1_000, true), AT);
    for (const signal of [total, free, majorFaults]) assert.ok(!signal.known && signal.reason === 'not-reported');
  });

  it('have what the kernel keeps for itself in what is used, and not the balloon, whether or not it is counted', () => {
    for (const total of [990, 390]) {
      const { used } = balloonSignals(saying(total, 100), sizes(400, true), AT);
      assert.ok(used.known && used.value === 300, `of ${total}`);
    }
  });

  it('are of a guest that uses what it used before, where it has moved meanwhile', () => {
    const usedBy = (available: number, before: HeldBefore): number => {
      const { used } = balloonSignals(saying(990, available), sizes(0, true, before), AT);
      assert.ok(used.known);
      return used.value;
    };
    // It has given memory up, and said so before or after it: neither is use.
    for (const available of [800, 400]) assert.equal(usedBy(available, moved(1_000, 600, 200)), 200);
    // It was given memory, and has it to spare.
    assert.equal(usedBy(500, moved(300, 700, 200)), 200);
  });

  it('are of a guest that needs more without delay, where it was given some and has nothing left', () => {
    const { used } = balloonSignals(saying(990, 0), sizes(0, true, moved(300, 700, 300)), AT);
    assert.ok(used.known && used.value === 700);
  });

  it('are of a guest that uses more or less than before where it must, and all that it can where nothing was known', () => {
    const usedBy = (before: HeldBefore): number => {
      const { used } = balloonSignals(saying(990, 100), sizes(0, true, before), AT);
      assert.ok(used.known);
      return used.value;
    };
    assert.equal(usedBy(moved(600, 700, 200)), 600);
    assert.equal(usedBy(moved(700, 600, 200)), 500);
    assert.equal(usedBy(moved(600, 700, 900)), 600);
    assert.equal(usedBy(moved(600, 700, null)), 600);
  });

  it('are exact again when it has not moved since', () => {
    const before = moved(600, 700, 200);
    const { used } = balloonSignals(saying(990, 100), sizes(0, true, before), millis(AT + 1_000));
    assert.ok(used.known && used.value === 600);
  });

  it('have all of its own memory to go by where the host does not say what it keeps', () => {
    const { used } = balloonSignals(saying(990, 300), { ...sizes(0, true), actual: null }, AT);
    assert.ok(used.known && used.value === 690);
  });

  it('say nothing of use where nothing would catch the guest, until it has swapped', () => {
    const stats = saying(990, 700);
    const { used } = balloonSignals(stats, sizes(1_000, false), AT);
    assert.ok(!used.known && used.reason === 'not-reported');
    const swapped = balloonSignals({ ...stats, hasSwapped: true }, sizes(1_000, false), AT).used;
    assert.ok(swapped.known && swapped.value === 300);
  });

  it('are all unknown for one reason where their time is', () => {
    const when = saidAt(1_800_000_052, TIMES);
    assert.ok(!when.known && when.reason === 'implausible');
    for (const signal of Object.values(silentBalloon(when))) assert.equal(signal, when);
    assert.deepEqual(saidAt(1_800_000_043, TIMES), { known: true, value: 43_000 });
  });
});
