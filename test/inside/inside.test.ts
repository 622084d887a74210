/** Protects that nobody inside of a guest holds a round up, and that all of them are let go of. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Inside, INSIDE_WAIT, type InsideSource, type Said } from '../../src/inside/index.js';
import type { Signals } from '../../src/control/reading.js';
import { knownAt } from '../../src/control/signal.js';
import { VirtualClock } from '../../src/sim/index.js';
import { addMillis, millis, pages } from '../../src/units.js';

describe('those inside of a guest', () => {
  const source = (signals: Partial<Signals>, look: () => Promise<void>): InsideSource & { closed: number } => ({
    closed: 0,
    signals,
    look,
    close() {
      this.closed += 1;
      return Promise.resolve();
    },
  });

  it('are asked at once, and given in order after half a second at most', async () => {
    const clock = new VirtualClock();
    const first = { total: knownAt(pages(1), millis(0)) };
    const never = source(first, () => new Promise(() => undefined));
    const quick = source({}, () => Promise.resolve());
    const inside = new Inside(clock, [never, quick]);
    let given: Said | null = null;
    void inside.look().then((said) => (given = said));
    await clock.advanceTo(addMillis(clock.now(), millis(INSIDE_WAIT - 1)));
    assert.equal(given, null);
    await clock.advanceTo(addMillis(clock.now(), millis(1)));
    assert.deepEqual(given, { sources: [first, {}], refusal: null });
    assert.deepEqual(await new Inside(clock, [quick]).look(), { sources: [{}], refusal: null });
    assert.equal(clock.nextTimerAt, null);
  });

  it('are told of where one was not understood, the best first', async () => {
    const still = () => Promise.resolve();
    const inside = new Inside(new VirtualClock(), [
      source({}, still),
      { ...source({}, still), refusal: 'garbage' },
      { ...source({}, still), refusal: 'worse' },
    ]);
    assert.equal((await inside.look()).refusal, 'garbage');
  });

  it('are let go of once', async () => {
    const one = source({}, () => Promise.resolve());
    const inside = new Inside(new VirtualClock(), [one]);
    await Promise.all([inside.close(AbortSignal.abort()), inside.close(AbortSignal.abort())]);
    assert.equal(one.closed, 1);
  });
});
