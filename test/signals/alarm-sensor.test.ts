/** Protects the alarm sensor: that either way alone is enough for an alarm, and that it says what it saw and what it cannot see. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import type { Alarm } from '../../src/control/alarm.js';
import { RealClock } from '../../src/runtime/real-clock.js';
import { openAlarmSensor, type AlarmSensor } from '../../src/signals/alarm-sensor.js';
import { VirtualClock } from '../../src/sim/virtual-clock.js';
import { addMillis, millis } from '../../src/units.js';
import { FakeKernel, fakeMemory, type FakeMemory } from './alarm-roots.js';
import { temporaryFolder } from './proc-roots.js';

const TRIGGER = { stall: millis(100), window: millis(1000) };

interface Bench {
  readonly clock: VirtualClock;
  readonly kernel: FakeKernel;
  readonly memory: FakeMemory;
  readonly sensor: AlarmSensor;
  readonly alarms: Alarm[];
  readonly pass: (length: number) => Promise<void>;
}

function begin(test: TestContext, availableMib: number, kernel = new FakeKernel()): Bench {
  const clock = new VirtualClock();
  const memory = fakeMemory(test, 200, availableMib);
  const alarms: Alarm[] = [];
  const onAlarm = (alarm: Alarm): void => void alarms.push(alarm);
  const sensor = openAlarmSensor({ root: memory.root, clock, trigger: TRIGGER, onAlarm, calls: kernel });
  test.after(() => sensor.close());
  const pass = (length: number): Promise<void> => clock.advanceTo(addMillis(clock.now(), millis(length)));
  return { clock, kernel, memory, sensor, alarms, pass };
}

describe('the alarm sensor', () => {
  it('raises an alarm when somebody waited for memory, with the memory as it is then', async (test) => {
    const { kernel, alarms, pass } = begin(test, 100);
    await pass(5000);
    assert.deepEqual(alarms, []);
    kernel.say('ready');
    await pass(10);
    assert.deepEqual(alarms, [{ cause: 'stalled', at: 5000, availablePages: 25_600, totalPages: 51_200 }]);
  });

  it('raises one when memory is low, before anybody waits', async (test) => {
    const { memory, alarms, pass } = begin(test, 20);
    memory.set(5);
    await pass(200);
    assert.deepEqual(alarms, [{ cause: 'low', at: 125, availablePages: 1280, totalPages: 51_200 }]);
  });

  it('raises one for a stall also when the memory cannot be read, and then says of no number that it is known', async (test) => {
    const { kernel, memory, alarms, pass } = begin(test, 100);
    memory.write('nonsense');
    await pass(1000);
    kernel.say('ready');
    await pass(10);
    assert.deepEqual(alarms, [{ cause: 'stalled', at: 1000, availablePages: null, totalPages: null }]);
  });

  it('goes on with available memory where there is no trigger, and says why', async (test) => {
    const kernel = new FakeKernel([{ kind: 'refused', why: 'this kernel is a fake', isForGood: true }]);
    const { memory, sensor, alarms, pass } = begin(test, 20, kernel);
    await pass(10);
    const text = 'there is no pressure trigger: this kernel is a fake; available memory is watched';
    assert.equal(sensor.describe(), text);
    memory.set(5);
    await pass(200);
    assert.equal(alarms.length, 1);
  });

  it('has no trigger under a folder of ordinary files, and says so', async (test) => {
    const { root } = fakeMemory(test, 200, 100);
    const clock = new VirtualClock();
    const sensor = openAlarmSensor({ root, clock, trigger: TRIGGER, onAlarm: () => undefined });
    await clock.advanceTo(millis(10));
    assert.match(
      sensor.describe(),
      /^there is no pressure trigger: .* is not the kernel's file; available memory is watched$/,
    );
    await sensor.close();
    assert.equal(clock.nextTimerAt, null);
  });

  it('says that it is blind where there is nothing at all', async (test) => {
    const clock = new VirtualClock();
    const root = temporaryFolder(test);
    const sensor = openAlarmSensor({ root, clock, trigger: TRIGGER, onAlarm: () => undefined });
    await clock.advanceTo(millis(10));
    assert.match(sensor.describe(), /^there is no pressure trigger: .*psi=1; available memory cannot be watched \(/);
    await sensor.close();
  });

  it('ends both ways at once', async (test) => {
    const { clock, kernel, memory, sensor, alarms, pass } = begin(test, 100);
    await pass(1000);
    await sensor.close();
    assert.deepEqual([clock.nextTimerAt, kernel.openDescriptors, kernel.openPollers], [null, 0, 0]);
    memory.set(1);
    kernel.say('ready');
    await pass(10_000);
    assert.deepEqual(alarms, []);
  });

  it('is opened and closed on this machine two hundred times without leaving a descriptor behind', async () => {
    const clock = new RealClock();
    const open = (): AlarmSensor => openAlarmSensor({ root: '/', clock, trigger: TRIGGER, onAlarm: () => undefined });
    await open().close();
    const before = readdirSync('/proc/self/fd').length;
    for (let n = 0; n < 200; n += 1) {
      const sensor = open();
      if (n % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
      await sensor.close();
    }
    assert.equal(readdirSync('/proc/self/fd').length, before);
  });
});

/** A guest of 200 MiB with 40 available, of which a process takes 300 MiB a second. Returns after how many ms we knew. */
async function knownAfter(
  test: TestContext,
  parts: { readonly kernel: FakeKernel; readonly isSeen: boolean },
): Promise<number> {
  const { memory, kernel, alarms, pass } = begin(test, 40, parts.kernel);
  await pass(950);
  for (let at = 0, left = 40; at < 5000; at += 10) {
    left = Math.max(0, left - 3);
    if (parts.isSeen) memory.set(left);
    // The kernel tells of 100 ms of waiting when somebody has waited for so long.
    if (left === 0 && at === 130 + 100) kernel.say('ready');
    await pass(10);
    if (alarms.length > 0) return at;
  }
  return Infinity;
}

describe('a fast demand', () => {
  const deaf = (): FakeKernel => new FakeKernel([{ kind: 'refused', why: 'deaf', isForGood: true }]);

  it('is known of within 150 ms by available memory alone', async (test) => {
    assert.ok((await knownAfter(test, { kernel: deaf(), isSeen: true })) <= 150);
  });

  it('is known of by the trigger alone as soon as it speaks', async (test) => {
    assert.equal(await knownAfter(test, { kernel: new FakeKernel(), isSeen: false }), 230);
  });

  it('is not known of at all without the two', async (test) => {
    assert.equal(await knownAfter(test, { kernel: deaf(), isSeen: false }), Infinity);
  });
});
