import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createRandomStream } from '../../src/sim/index.js';

const draws = (seed: number, name: string, count: number): number[] => {
  const stream = createRandomStream(seed, name);
  return Array.from({ length: count }, () => stream.next());
};

describe('random streams', () => {
  it('are the same for the same seed and name', () => {
    assert.deepEqual(draws(7, 'web', 100), draws(7, 'web', 100));
  });

  it('differ by seed and by name', () => {
    assert.notDeepEqual(draws(7, 'web', 4), draws(8, 'web', 4));
    assert.notDeepEqual(draws(7, 'web', 4), draws(7, 'idle', 4));
  });

  it('keep giving the numbers they gave when a recording was made', () => {
    // Changing these changes every scenario: do it on purpose only.
    const text = draws(1, 'a', 3).map((value) => (value * 2 ** 32).toString(16));
    assert.deepEqual(text, ['96413f8b', '8c7a8b26', 'daf63fdd']);
  });

  it('are spread evenly', () => {
    const values = draws(3, 'spread', 20_000);
    const tenths = Array.from({ length: 10 }, () => 0);
    for (const value of values) {
      assert.ok(value >= 0 && value < 1);
      const tenth = Math.floor(value * 10);
      tenths[tenth] = (tenths[tenth] ?? 0) + 1;
    }
    for (const count of tenths) assert.ok(Math.abs(count - 2_000) < 200, `${count} of 20,000 in a tenth`);
  });

  it('stay between what they were given', () => {
    const stream = createRandomStream(5, 'between');
    for (let count = 0; count < 1_000; count += 1) {
      const value = stream.between(-3, 4);
      assert.ok(value >= -3 && value < 4);
    }
  });
});
