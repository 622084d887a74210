/**
 * Protects that each look at a machine finds statistics that the guest has just given, whenever QEMU began to ask for them; that this costs
 * next to nothing, and ends with the machine.
 */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';

import type { FakeQemu } from '../../qmp/support/fake-qemu.js';
import { openRig, type Rig } from './support/rig.js';

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
  #begun = 0;

  constructor(rig: Rig) {
    const [qemu] = rig.qemus;
    assert.ok(qemu !== undefined);
    this.rig = rig;
    this.qemu = qemu;
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

  /** A look at it. Returns how old was what it found, in ms. */
  async ageAtLook(): Promise<number> {
    const { machine } = this.qemu;
    const now = this.rig.clock.now();
    const polls = Math.floor((now - this.#begun) / SECOND);
    const said = this.#begun + polls * SECOND;
    machine.lastUpdate = this.rig.seconds;
    machine.stats = { 'stat-free-memory': said * PAGE, 'stat-total-memory': 2 ** 29, 'stat-available-memory': 2 ** 28 };
    const { free } = await this.rig.reading('qmp/one');
    assert.ok(free.known);
    return now - free.value;
  }
}

async function openMachine(test: TestContext): Promise<PolledMachine> {
  const machine = new PolledMachine(await openRig(test, 'one'));
  // QEMU began to ask at a moment that has nothing to do with our looks.
  await machine.rig.pass(370);
  return machine;
}

describe('the statistics of a machine of which nobody else tells', () => {
  it('are given 50 ms before each look, from the fourth look on', async (test) => {
    const machine = await openMachine(test);
    const ages: number[] = [];
    for (let look = 0; look < 16; look += 1) {
      ages.push(await machine.ageAtLook());
      await machine.pass(SECOND);
    }
    assert.deepEqual(ages.slice(0, 3), [370, 370, 370]);
    assert.deepEqual(ages.slice(3), Array<number>(13).fill(50));
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

  it('keep their place while looks come unevenly', async (test) => {
    const machine = await openMachine(test);
    for (const length of [1_000, 400, 600, 1_000, 400, 600]) {
      await machine.ageAtLook();
      await machine.pass(length);
    }
    assert.deepEqual(settings(machine.qemu), [1]);
  });

  it('are put back at the end, and not switched on again after that', async (test) => {
    const machine = await openMachine(test);
    for (let look = 0; look < 3; look += 1) {
      await machine.ageAtLook();
      await machine.pass(look < 2 ? SECOND : SECOND / 2);
    }
    await machine.rig.host.close();
    await machine.pass(SECOND);
    assert.deepEqual(settings(machine.qemu), [1, 0]);
  });

  it('are not polled anew when the balloon is gone', async (test) => {
    const machine = await openMachine(test);
    for (let look = 0; look < 3; look += 1) {
      await machine.ageAtLook();
      await machine.pass(look < 2 ? SECOND : SECOND / 2);
    }
    machine.qemu.emit('DEVICE_DELETED', { device: 'balloon0', path: '/machine/peripheral/balloon0' });
    await machine.rig.untilNotice('it changed', ({ kind }) => kind === 'guest-changed');
    await machine.pass(2 * SECOND);
    assert.deepEqual(settings(machine.qemu), [1]);
  });
});
