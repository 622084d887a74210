/**
 * Protects that each look at a machine finds statistics that the guest has just given, whenever QEMU began to ask for them; that this costs
 * next to nothing, and ends with the machine.
 */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';

import { StatsPolling } from '../../../src/hypervisors/qmp/stats-polling.js';
import type { Qmp } from '../../../src/qmp/index.js';
import { VirtualClock } from '../../../src/sim/index.js';
import { beatFrom, beatInSecond } from '../../../src/control/beat.js';
import { millis } from '../../../src/units.js';
import type { FakeQemu } from '../../qmp/support/fake-qemu.js';
import { Refusal } from '../../qmp/support/fake-machine.js';
import { until } from '../../qmp/support/opened.js';
import { openRig, Rig } from './support/rig.js';

const PAGE = 4_096;
const SECOND = 1_000;
/** Between two turns of anybody on the fake's side, in ms of its clock. */
const STEP = 25;

/** The values that polling was set to so far. */
const settings = ({ requests }: FakeQemu): readonly unknown[] =>
  requests.flatMap(({ execute, arguments: args }) =>
    execute === 'qom-set' ? [(args as { readonly value: unknown }).value] : [],
  );

/**
 * A machine whose guest is asked as QEMU 7.2 does it: each second, beginning with the moment at which polling is switched on. What the guest
 * says is that moment, as its free memory in pages.
 */
class PolledMachine {
  readonly rig: Rig;
  readonly qemu: FakeQemu;
  /** QEMU began to ask at a moment that has nothing to do with our looks. */
  #begun: number;

  constructor(rig: Rig) {
    const [qemu] = rig.qemus;
    assert.ok(qemu !== undefined);
    this.rig = rig;
    this.qemu = qemu;
    this.#begun = rig.clock.now() - 370;
    const set = qemu.machine.commands.get('qom-set');
    qemu.machine.commands.set('qom-set', (args) => {
      if (qemu.machine.pollingInterval === 0 && args['value'] === 1) this.#begun = rig.clock.now();
      return set?.(args);
    });
  }

  /** Lets time pass in steps, in each of which what was sent arrives. */
  async pass(length: number): Promise<void> {
    for (let passed = 0; passed < length; passed += STEP) {
      await this.rig.pass(Math.min(STEP, length - passed));
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** The guest answers so much later than it did, and is asked as much later from then on. */
  delay(length: number): void {
    this.#begun += length;
  }

  /** A look at it. Returns how old was what it found, in ms. */
  async ageAtLook(): Promise<number> {
    const { machine } = this.qemu;
    const now = this.rig.clock.now();
    const polls = Math.floor((now - this.#begun) / SECOND);
    const said = this.#begun + polls * SECOND;
    machine.lastUpdate = this.rig.seconds - Math.floor(now / SECOND) + Math.floor(said / SECOND);
    machine.stats = { 'stat-free-memory': said * PAGE, 'stat-total-memory': 2 ** 29, 'stat-available-memory': 2 ** 28 };
    const { free } = await this.rig.reading('qmp/one');
    assert.ok(free.known);
    return now - free.value;
  }
}

/** Now is a beat of its looks, and QEMU last asked it 370 ms ago. */
async function openMachine(test: TestContext): Promise<PolledMachine> {
  const rig = await openRig(test, 'one');
  const { clock } = rig;
  await clock.advanceTo(beatFrom(millis(clock.now() + 1), beatInSecond({ id: 'qmp/one' })));
  const machine = new PolledMachine(rig);
  await machine.pass(SECOND);
  return machine;
}

describe('the statistics of a machine of which nobody else tells', () => {
  it('are given 50 ms before each look, from the second on', async (test) => {
    const machine = await openMachine(test);
    const ages: number[] = [];
    for (let look = 0; look < 16; look += 1) {
      ages.push(await machine.ageAtLook());
      await machine.pass(SECOND);
    }
    assert.deepEqual(ages, [370, ...Array<number>(15).fill(50)]);
  });

  it('are polled anew every 10 s and no more often, and never left switched off', async (test) => {
    const machine = await openMachine(test);
    for (let look = 0; look < 26; look += 1) {
      await machine.ageAtLook();
      await machine.pass(SECOND);
      assert.equal(machine.qemu.machine.pollingInterval, 1);
    }
    assert.deepEqual(settings(machine.qemu), [1, ...[0, 1], ...[0, 1], ...[0, 1]]);
  });

  it('are given 50 ms before each look on its beat also where others come between', async (test) => {
    const machine = await openMachine(test);
    await machine.ageAtLook();
    for (const between of [400, 731, 20, 967, 50, 600, 600, 600, 600, 600, 600]) {
      await machine.pass(between);
      await machine.ageAtLook();
      await machine.pass(SECOND - between);
      assert.equal(await machine.ageAtLook(), 50);
    }
    assert.deepEqual(settings(machine.qemu), [1, ...[0, 1], ...[0, 1]]);
  });

  it('are given 50 ms before each look at an interval of several seconds too', async (test) => {
    const machine = await openMachine(test);
    await machine.ageAtLook();
    for (let look = 0; look < 3; look += 1) {
      await machine.pass(5 * SECOND);
      assert.equal(await machine.ageAtLook(), 50);
    }
  });

  it('are polled anew at once when the guest has answered too late for a look', async (test) => {
    const machine = await openMachine(test);
    const ages: number[] = [];
    for (let look = 0; look < 8; look += 1) {
      ages.push(await machine.ageAtLook());
      await machine.pass(SECOND);
      // It was busy, and all its later answers are later by as much.
      if (look === 3) machine.delay(80);
    }
    assert.deepEqual(ages, [370, 50, 50, 50, 970, 50, 50, 50]);
    assert.deepEqual(settings(machine.qemu), [1, ...[0, 1], ...[0, 1]]);
  });

  it('are put back at the end, and not switched on again after that', async (test) => {
    const machine = await openMachine(test);
    await machine.ageAtLook();
    await machine.pass(SECOND / 2);
    await machine.rig.host.close();
    await machine.pass(SECOND);
    assert.deepEqual(settings(machine.qemu), [1, 0]);
  });

  it('are switched on again at the next look where that failed, whoever tells of the guest then', async (test) => {
    const machine = await openMachine(test);
    const { commands } = machine.qemu.machine;
    const set = commands.get('qom-set');
    await machine.ageAtLook();
    commands.set('qom-set', (args) => {
      if (args['value'] === 1) throw new Refusal('GenericError', 'it hung');
      return set?.(args);
    });
    await machine.pass(SECOND);
    assert.equal(machine.qemu.machine.pollingInterval, 0);
    commands.set('qom-set', (args) => set?.(args));
    await machine.rig.look(['qmp/one']);
    await until('it is on again', () => machine.qemu.machine.pollingInterval === 1);
  });

  it('that were on before us are on at the end, also where switching them on again has just failed', async (test) => {
    const rig = new Rig();
    test.after(() => rig.host.close());
    const { machine } = await rig.addQemu(test, 'one');
    machine.pollingInterval = 1;
    const set = machine.commands.get('qom-set');
    rig.watch();
    await rig.untilCame(1);
    await rig.look(['qmp/one']);
    let refusals = 0;
    machine.commands.set('qom-set', (args) => {
      if (args['value'] !== 1 || refusals > 0) return set?.(args);
      refusals += 1;
      throw new Refusal('GenericError', 'it hung');
    });
    await rig.pass(SECOND);
    await until('it was refused', () => refusals === 1);
    assert.equal(machine.pollingInterval, 0);
    await rig.host.close();
    assert.equal(machine.pollingInterval, 1);
  });

  it('are put back as they were before us also where the connection was lost meanwhile', async (test) => {
    const rig = new Rig();
    test.after(() => rig.host.close());
    const qemu = await rig.addQemu(test, 'one');
    qemu.machine.pollingInterval = 5;
    rig.watch();
    await rig.untilCame(1);
    assert.equal(qemu.machine.pollingInterval, 1);
    qemu.last.socket.destroy();
    await rig.untilNotice('it left', ({ kind }) => kind === 'guest-left');
    for (let waited = 0; waited < 20 && rig.notices.length < 3; waited += 1) await rig.pass(500);
    await rig.untilCame(2);
    await rig.host.close();
    assert.equal(qemu.machine.pollingInterval, 5);
  });

  it('are not polled anew when the balloon is gone', async (test) => {
    const machine = await openMachine(test);
    await machine.ageAtLook();
    await machine.pass(SECOND / 2);
    machine.qemu.emit('DEVICE_DELETED', { device: 'balloon0', path: '/machine/peripheral/balloon0' });
    await machine.rig.untilNotice('it changed', ({ kind }) => kind === 'guest-changed');
    await machine.pass(2 * SECOND);
    assert.deepEqual(settings(machine.qemu), [1]);
  });
});

describe('the statistics of a machine in which nothing is to be changed', () => {
  /** A host with a machine that is polled so already, seen for 12 s and then left. */
  async function seen(test: TestContext, pollingInterval: number): Promise<{ rig: Rig; used: readonly unknown[] }> {
    const rig = new Rig({ switchesPolling: false });
    test.after(() => rig.host.close());
    const { machine } = await rig.addQemu(test, 'one');
    machine.pollingInterval = pollingInterval;
    machine.stats = { 'stat-total-memory': 2 ** 30, 'stat-available-memory': 2 ** 29 };
    rig.watch();
    await rig.untilCame(1);
    const used: unknown[] = [];
    for (let look = 0; look < 12; look += 1) {
      if (pollingInterval > 0) machine.lastUpdate = rig.seconds;
      const reading = await rig.reading('qmp/one');
      used.push(reading.used.known ? reading.used.value : null);
      await rig.pass(SECOND);
    }
    await rig.host.close();
    return { rig, used };
  }

  it('are used where somebody else has switched them on, and left as they are', async (test) => {
    const { rig, used } = await seen(test, 2);
    assert.deepEqual(rig.qemus.flatMap(settings), []);
    assert.deepEqual(used, Array<number>(12).fill(2 ** 29 / PAGE));
    assert.deepEqual(rig.told, []);
  });

  it('are left off, and that is said once', async (test) => {
    const { rig, used } = await seen(test, 0);
    assert.deepEqual(rig.qemus.flatMap(settings), []);
    assert.ok(used.every((value) => value === null));
    assert.equal(rig.told.length, 1);
    assert.match(rig.told[0] ?? '', /^guest qmp\/one: its statistics are off, and are left so/);
  });
});

describe('the polling of a machine that is left', () => {
  it('is not begun anew for a look that was under way meanwhile', async () => {
    const clock = new VirtualClock();
    const values: unknown[] = [];
    const execute: Qmp['execute'] = (command, args) => {
      if (command === 'qom-set') values.push(args?.['value']);
      return Promise.resolve(0);
    };
    const signal = new AbortController().signal;
    const asks = { qmp: { execute } as Qmp, path: '/balloon', clock, foundBefore: null };
    const polling = await StatsPolling.begin(asks, signal);
    await polling.putBack(signal);
    polling.follow(beatInSecond({ id: 'qmp/one' }));
    await clock.advanceTo(millis(3_000));
    assert.deepEqual(values, [1, 0]);
  });
});
