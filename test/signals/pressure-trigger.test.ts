/** Protects the life of a pressure trigger: that each stall is handed on once, that a lost trigger comes back, and the end. */
import assert from 'node:assert/strict';
import { closeSync, readdirSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { RealClock } from '../../src/runtime/real-clock.js';
import { watchPressure, type PressureTrigger } from '../../src/signals/pressure-trigger.js';
import { setTrigger, type TriggerOutcome } from '../../src/signals/trigger-file.js';
import { VirtualClock } from '../../src/sim/virtual-clock.js';
import { addMillis, millis } from '../../src/units.js';
import { FakeKernel, type Answer } from './alarm-roots.js';

const PATH = '/proc/pressure/memory';
const SETTINGS = { stall: millis(100), window: millis(1000) };

const refused = (isForGood: boolean): TriggerOutcome => ({ kind: 'refused', why: 'this kernel is a fake', isForGood });
const widened: TriggerOutcome = {
  kind: 'set',
  descriptor: 77,
  settings: { stall: millis(150), window: millis(2000) },
};

interface Bench {
  readonly clock: VirtualClock;
  readonly kernel: FakeKernel;
  readonly trigger: PressureTrigger;
  readonly stalls: number[];
  readonly warnings: string[];
  readonly pass: (length: number) => Promise<void>;
}

function begin(test: TestContext, answers: Answer[] = []): Bench {
  const clock = new VirtualClock();
  const kernel = new FakeKernel(answers);
  const stalls: number[] = [];
  const warnings: string[] = [];
  const trigger = watchPressure({
    path: PATH,
    settings: SETTINGS,
    clock,
    onStall: (at) => void stalls.push(at),
    warn: (message) => void warnings.push(message),
    calls: kernel,
  });
  test.after(() => trigger.close());
  const pass = (length: number): Promise<void> => clock.advanceTo(addMillis(clock.now(), millis(length)));
  return { clock, kernel, trigger, stalls, warnings, pass };
}

describe('a pressure trigger that is set', () => {
  it('hands on each stall at the moment when the kernel tells it', async (test) => {
    const { kernel, trigger, stalls, warnings, pass } = begin(test);
    await pass(400);
    assert.equal(trigger.describe(), 'the pressure trigger is set to 100 ms of waiting within 1000 ms');
    kernel.say('ready');
    await pass(1000);
    kernel.say('ready');
    await pass(1000);
    assert.deepEqual(stalls, [400, 1400]);
    assert.deepEqual([kernel.asked, warnings], [[`${PATH}: 100/1000`], []]);
  });

  it('loses no stall that comes right after another, and does not spin', async (test) => {
    const { kernel, stalls, pass } = begin(test);
    await pass(100);
    for (let n = 0; n < 1000; n += 10) {
      kernel.say('ready');
      await pass(10);
    }
    assert.deepEqual(stalls, [100, 350, 600, 850, 1100]);
    await pass(1000);
    assert.equal(stalls.length, 5);
  });

  it('says when it had to take a wider window', async (test) => {
    const { trigger, warnings, pass } = begin(test, [widened]);
    await pass(1);
    const text =
      'the pressure trigger is set to 150 ms of waiting within 2000 ms: this process may not set 100 ms within 1000 ms';
    assert.deepEqual([trigger.describe(), warnings], [text, [text]]);
  });

  it('does not take being woken for a stall', async (test) => {
    const { kernel, stalls, pass } = begin(test);
    await pass(1);
    kernel.say('woken');
    await pass(1000);
    assert.deepEqual([stalls, kernel.openPollers], [[], 1]);
  });
});

describe('a pressure trigger that cannot be had', () => {
  it('is not asked for again when the answer will be the same, and leaves nothing running', async (test) => {
    const { clock, kernel, trigger, warnings, pass } = begin(test, [refused(true)]);
    await pass(1_000_000);
    assert.equal(trigger.describe(), 'there is no pressure trigger: this kernel is a fake');
    assert.deepEqual(warnings, [trigger.describe()]);
    assert.deepEqual([kernel.asked.length, clock.nextTimerAt], [1, null]);
  });

  it('is asked for more and more seldom, at least every five minutes, and is told of once', async (test) => {
    const { kernel, warnings, pass } = begin(test, [refused(false)]);
    const asked: number[] = [];
    for (let second = 0; second < 1200; second += 1) {
      await pass(1000);
      if (kernel.asked.length > asked.length + 1) asked.push(second + 1);
    }
    assert.deepEqual(asked, [1, 3, 7, 15, 31, 63, 127, 255, 511, 811, 1111]);
    assert.equal(warnings.length, 1);
  });

  it('is set when a later request succeeds', async (test) => {
    const { kernel, trigger, stalls, pass } = begin(test, [refused(false), 'cannot-poll', 'set']);
    await pass(1500);
    assert.match(trigger.describe(), /cannot be waited for: no koffi here/);
    assert.equal(kernel.openDescriptors, 0);
    await pass(2000);
    kernel.say('ready');
    await pass(1);
    assert.equal(stalls.length, 1);
  });
});

describe('a pressure trigger that got lost', () => {
  it('is set anew, after longer each time', async (test) => {
    const { kernel, warnings, pass } = begin(test);
    await pass(1);
    const asked = (): number => kernel.asked.length;
    for (const delay of [1000, 2000, 4000, 8000]) {
      const before = asked();
      kernel.say('failed');
      await pass(delay - 1);
      assert.equal(asked(), before);
      await pass(2);
      assert.equal(asked(), before + 1);
      assert.deepEqual([kernel.openDescriptors, kernel.openPollers], [1, 1]);
    }
    assert.equal(warnings.length, 4);
  });

  it('is set anew as soon as at first once it has worked', async (test) => {
    const { kernel, stalls, pass } = begin(test);
    await pass(1);
    for (const end of ['failed', 'failed', 'failed'] as const) {
      kernel.say(end);
      await pass(10_000);
    }
    kernel.say('ready');
    await pass(1000);
    assert.equal(stalls.length, 1);
    const before = kernel.asked.length;
    kernel.say('failed');
    await pass(1001);
    assert.equal(kernel.asked.length, before + 1);
  });
});

describe('the end of a pressure trigger', () => {
  const WHILE: Readonly<Record<string, (bench: Bench) => Promise<void>>> = {
    'it is being set': () => Promise.resolve(),
    'somebody waits for it': ({ pass }) => pass(10),
    'it rests after a stall': async ({ kernel, pass }) => {
      await pass(10);
      kernel.say('ready');
      await pass(10);
    },
    'a stall is on its way': async ({ kernel, pass }) => {
      await pass(10);
      kernel.say('ready');
    },
    'a new one is awaited': async ({ kernel, pass }) => {
      await pass(10);
      kernel.say('failed');
      await pass(10);
    },
  };
  for (const [what, prepare] of Object.entries(WHILE)) {
    it(`comes at once while ${what}, and leaves nothing open`, async (test) => {
      const bench = begin(test);
      await prepare(bench);
      const { clock, kernel, trigger, stalls } = bench;
      const before = stalls.length;
      await trigger.close();
      assert.deepEqual([kernel.openDescriptors, kernel.openPollers, clock.nextTimerAt], [0, 0, null]);
      await trigger.close();
      kernel.say('ready');
      assert.equal(stalls.length, before);
    });
  }
});

const outcome = setTrigger(PATH, { stall: millis(2000), window: millis(2000) });
const skip = outcome.kind === 'refused' ? outcome.why : false;
if (outcome.kind === 'set') closeSync(outcome.descriptor);

describe('a pressure trigger of this kernel', { skip }, () => {
  /** So much waiting that it never speaks. */
  const open = (): PressureTrigger =>
    watchPressure({
      path: PATH,
      settings: { stall: millis(2000), window: millis(2000) },
      clock: new RealClock(),
      onStall: () => undefined,
    });

  it('is opened and closed two hundred times without leaving a descriptor behind', async () => {
    await open().close();
    const before = readdirSync('/proc/self/fd').length;
    for (let n = 0; n < 200; n += 1) {
      const trigger = open();
      // In half of the cases the wait has begun, in the others the trigger is still being set.
      if (n % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
      await trigger.close();
    }
    assert.equal(readdirSync('/proc/self/fd').length, before);
  });
});
