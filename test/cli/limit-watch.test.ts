/** Protects an administrator from limits that do nothing: a typing error in a guest's name, and a floor that no size of it reaches. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LimitWatch } from '../../src/cli/daemon/limit-watch.js';
import { NOTHING_KNOWN } from '../../src/control/reading.js';
import { knownAt } from '../../src/control/signal.js';
import { mib, mibToPages, millis } from '../../src/units.js';

const size = (count: number) => mibToPages(mib(count));
const CAPABILITIES = { canSetTarget: true, hasOverflowTier: false, isSimulated: false };

/** Two guests, of which the maximum of the first is known from second 2 on. */
function watch(floors: Readonly<Record<string, number>>, metAt = 0) {
  let now = 0;
  const said: string[] = [];
  const limits = Object.fromEntries(
    Object.entries(floors).map(([name, floor]) => [name, { floor: size(floor), ceiling: null }]),
  );
  const watching = new LimitWatch({
    limits,
    now: () => millis(now),
    isMeeting: () => now < metAt,
    warn: (text) => said.push(text),
  });
  const until = (seconds: number): readonly string[] => {
    for (; now <= seconds * 1_000; now += 1_000) {
      const maximum = now < 2_000 ? NOTHING_KNOWN.maximum : knownAt(size(512), millis(now));
      watching.look(() => [
        {
          guest: { id: 'h/one:1', name: 'one', capabilities: CAPABILITIES },
          reading: { ...NOTHING_KNOWN, at: millis(now), maximum },
        },
        { guest: { id: 'h/two', name: 'two', capabilities: CAPABILITIES }, reading: null },
      ]);
    }
    return said;
  };
  return { until };
}

describe('limits of guests in the configuration', () => {
  it('of a name that no guest has are told, once the guests of a host have been met', () => {
    const { until } = watch({ nobody: 900, one: 100, 'h/two': 100 });
    assert.deepEqual(until(29), []);
    assert.match(until(120).join(), /^\[guest\."nobody"\] is in the configuration, and no guest of that name is here/);
    assert.equal(until(240).length, 1);
  });

  it('of a name that no guest has are not told while some may not have been met', () => {
    const { until } = watch({ nobody: 900 }, 90_000);
    assert.deepEqual(until(89), []);
    assert.match(until(90).join(), /^\[guest\."nobody"\]/);
    assert.equal(until(240).length, 1);
  });

  it('of a floor above what the guest can hold are told, once', () => {
    const { until } = watch({ one: 600 });
    assert.deepEqual(until(1), []);
    assert.match(until(60).join(), /^min_mib of \[guest\."one"\] is more than the 512 MiB that h\/one:1 can ever hold/);
    assert.equal(until(120).length, 1);
  });

  it('that are as they should be are no news', () => {
    assert.deepEqual(watch({ 'h/one:1': 512, two: 10 }).until(120), []);
  });
});
