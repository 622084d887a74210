/** Protects the watch of available memory: that it speaks when it should, once, and goes on whatever the file holds. */
import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Timer } from '../../src/control/ports.js';
import { addMillis, millis, type Millis } from '../../src/units.js';
import { watchAvailable, type AvailableWatch } from '../../src/signals/available-watch.js';
import { VirtualClock } from '../../src/sim/virtual-clock.js';
import { fakeMemory, type FakeMemory } from './alarm-roots.js';

/** Of 200 MiB, less than 10 MiB available are low. */
const TOTAL = 200;

interface Bench {
  readonly clock: VirtualClock;
  readonly memory: FakeMemory;
  readonly watch: AvailableWatch;
  /** When it spoke, and how many pages it saw then. */
  readonly heard: (readonly [at: Millis, available: number])[];
  readonly pass: (length: number) => Promise<void>;
}

function begin(test: TestContext, availableMib: number): Bench {
  const clock = new VirtualClock();
  const memory = fakeMemory(test, TOTAL, availableMib);
  const heard: (readonly [Millis, number])[] = [];
  const onLow = ({ available }: { readonly available: number }, at: Millis): void => void heard.push([at, available]);
  const watch = watchAvailable({ root: memory.root, clock, onLow });
  test.after(() => {
    watch.close();
  });
  const pass = (length: number): Promise<void> => clock.advanceTo(addMillis(clock.now(), millis(length)));
  return { clock, memory, watch, heard, pass };
}

describe('the watch of available memory', () => {
  it('is silent while there is enough, up to the very level', async (test) => {
    const { heard, memory, pass } = begin(test, 100);
    await pass(10_000);
    memory.set(10);
    await pass(10_000);
    assert.deepEqual(heard, []);
  });

  it('speaks at the first look that finds less than the level', async (test) => {
    const { heard, memory, pass } = begin(test, 20);
    await pass(1000);
    memory.set(9.99);
    await pass(125);
    assert.deepEqual(heard, [[1125, 2557]]);
  });

  it('speaks at once when memory is low from the start', (test) => {
    assert.deepEqual(begin(test, 1).heard, [[0, 256]]);
  });

  it('repeats itself seldom while memory stays low', async (test) => {
    const { heard, pass } = begin(test, 1);
    await pass(40_000);
    assert.deepEqual(
      heard.map(([at]) => at),
      [0, 1000, 3000, 7000, 15_000, 23_000, 31_000, 39_000],
    );
  });

  it('speaks at most once a second of memory that comes and goes', async (test) => {
    const { heard, memory, pass } = begin(test, 20);
    for (let n = 0; n < 200; n += 1) {
      memory.set(n % 2 === 0 ? 5 : 20);
      await pass(130);
    }
    assert.ok(heard.length >= 10);
    for (const [n, [at]] of heard.slice(1).entries()) assert.ok(at - (heard[n]?.[0] ?? 0) >= 1000);
  });

  it('begins anew with a second of silence after memory was there again', async (test) => {
    const { heard, memory, pass } = begin(test, 1);
    await pass(20_000);
    memory.set(100);
    await pass(10_000);
    memory.set(1);
    await pass(2500);
    const [first, second] = heard.slice(-2).map(([at]) => at);
    assert.ok(first !== undefined && second !== undefined && first > 30_000);
    assert.equal(second - first, 1000);
  });

  it('speaks within a second when memory is low again soon after it was there again', async (test) => {
    const { heard, memory, pass } = begin(test, 1);
    await pass(16_000);
    memory.set(20);
    await pass(1500);
    memory.set(1);
    await pass(1000);
    const last = heard.at(-1)?.[0] ?? 0;
    assert.ok(last > 17_500 && last <= 18_500, `the last word was at ${last}`);
  });

  it('looks more often the less is left: eight times a second at most while nothing moves', async (test) => {
    const looksIn = async (availableMib: number): Promise<number> => {
      const { clock, pass } = begin(test, availableMib);
      let looks = 0;
      for (let n = 0; n < 10_000; n += 10) {
        const due = clock.nextTimerAt;
        await pass(10);
        if (due !== null && due <= clock.now()) looks += 1;
      }
      return looks / 10;
    };
    assert.ok((await looksIn(12)) <= 8);
    assert.ok((await looksIn(190)) < 4);
  });

  it('says why it is blind, and sees again when the file can be read', async (test) => {
    const { heard, memory, watch, pass } = begin(test, 100);
    assert.equal(watch.describe(), 'available memory is watched');
    for (const text of ['', 'MemTotal: 4 kB\nMemAvailable: 8 kB\n', '\u0000\u0000', 'MemTotal: x kB\n'.repeat(100)]) {
      memory.write(text);
      await pass(1000);
      assert.match(watch.describe(), /^available memory cannot be watched \(\/proc\/meminfo.*\)$/);
    }
    assert.deepEqual(heard, []);
    memory.set(1);
    await pass(1000);
    assert.equal(heard.length, 1);
    assert.equal(watch.describe(), 'available memory is watched');
  });

  it('goes on without the file, and finds it when it comes', async (test) => {
    const { heard, memory, watch, pass } = begin(test, 100);
    rmSync(join(memory.root, 'proc', 'meminfo'));
    await pass(5000);
    assert.match(watch.describe(), /there is no .*meminfo/);
    memory.set(1);
    await pass(20_000);
    assert.ok(heard.length > 0);
  });

  it('keeps its pace when its looks come late', async (test) => {
    const { clock, pass } = begin(test, 12);
    await pass(1000);
    const due = clock.nextTimerAt;
    assert.ok(due !== null);
    // What runs late is the look, not the clock: it sees a time well past that for which it was set.
    const late = new LateClock(70);
    const memory = fakeMemory(test, TOTAL, 12);
    const watch = watchAvailable({ root: memory.root, clock: late, onLow: () => undefined });
    await late.clock.advanceTo(millis(5000));
    assert.ok(late.waits > 36, `${late.waits} looks in 5 s`);
    watch.close();
  });

  it('ends at once and leaves neither timer nor descriptor', async (test) => {
    const open = (): number => readdirSync('/proc/self/fd').length;
    const before = open();
    const { clock, heard, memory, watch, pass } = begin(test, 100);
    await pass(500);
    watch.close();
    assert.equal(clock.nextTimerAt, null);
    assert.equal(open(), before);
    memory.set(0);
    await pass(5000);
    assert.deepEqual(heard, []);
  });
});

/** A clock whose timers go off `late` ms later than they were set to. */
class LateClock {
  readonly clock = new VirtualClock();
  waits = 0;

  constructor(readonly late: number) {}

  now(): Millis {
    return this.clock.now();
  }

  sleepUntil(at: Millis, signal: AbortSignal): Promise<void> {
    return this.clock.sleepUntil(at, signal);
  }

  timeLimit(length: Millis): AbortSignal {
    return this.clock.timeLimit(length);
  }

  gather(): Promise<void> {
    return this.clock.gather();
  }

  timer(run: () => void): Timer {
    const timer = this.clock.timer(run);
    return {
      ...timer,
      set: (length) => {
        this.waits += 1;
        timer.set(addMillis(length, millis(this.late)));
      },
    };
  }
}
