/**
 * Protects that a QEMU which does not answer for long is asked for one thing at a time: what it was asked for may still come about, and must not
 * do so after something newer.
 */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { HypervisorError } from '../../../src/errors.js';
import { objectIn } from '../../../src/qmp/fields.js';
import { guestSize, mib, mibToPages } from '../../../src/units.js';
import { Refusal, fakePlug, type Command } from '../../qmp/support/fake-machine.js';
import type { FakeQemu } from '../../qmp/support/fake-qemu.js';
import { until } from '../../qmp/support/opened.js';
import { MIB, Rig } from './support/rig.js';

const NEVER = new AbortController().signal;
const MINUTE = 60_000;

interface World {
  readonly rig: Rig;
  readonly qemu: FakeQemu;
}

/** A machine with two devices for memory of 128 MiB each, whose QEMU does not answer from now on. */
async function openStopped(test: TestContext): Promise<World> {
  const rig = new Rig();
  // Nobody who closes is to wait for an answer.
  test.after(() => {
    for (const qemu of rig.qemus) goOn(qemu);
  });
  test.after(() => rig.host.close());
  const qemu = await rig.addQemu(test, 'one');
  qemu.machine.plugs = ['vm0', 'vm1'].map((id) => fakePlug({ id, memdev: `/objects/${id}`, maxSize: 128 * MIB }));
  rig.watch();
  await rig.untilCame(1);
  qemu.isHolding = true;
  return { rig, qemu };
}

/** It answers again, what it was asked first. */
function goOn(qemu: FakeQemu): void {
  qemu.isHolding = false;
  qemu.release();
}

/** What has been asked so far, when all that was sent has come. */
async function sentOf({ rig, qemu }: World, command: 'balloon' | 'requested-size'): Promise<readonly number[]> {
  const before = qemu.requests.length;
  void rig.look(['qmp/one']);
  await until('a look has come after it', () =>
    qemu.requests.slice(before).some(({ execute }) => execute === 'query-balloon'),
  );
  return sizesIn(qemu, command);
}

/** In MiB. */
function sizesIn({ requests }: FakeQemu, command: 'balloon' | 'requested-size'): readonly number[] {
  return requests.flatMap(({ execute, arguments: args }) => {
    const { property, value } = objectIn(args);
    return execute === command || property === command ? [Number(value) / MIB] : [];
  });
}

const isTimedOut = (error: unknown): boolean => error instanceof HypervisorError && error.code === 'ETIMEDOUT';

describe('a target that QEMU does not answer for long', () => {
  it('is waited for, however long, before a newer one is sent', async (test) => {
    const world = await openStopped(test);
    const { rig, qemu } = world;
    const first = rig.host.setTarget('qmp/one', guestSize(mibToPages(mib(500))), NEVER);
    const second = rig.host.setTarget('qmp/one', guestSize(mibToPages(mib(700))), NEVER);
    await rig.pass(MINUTE);
    assert.deepEqual(await sentOf(world, 'balloon'), [500]);
    goOn(qemu);
    await Promise.all([first, second]);
    assert.deepEqual(sizesIn(qemu, 'balloon'), [500, 700]);
    assert.equal(qemu.machine.actual, 700 * MIB);
  });

  it('is followed by none that was given up while it waited', async (test) => {
    const { rig, qemu } = await openStopped(test);
    const first = rig.host.setTarget('qmp/one', guestSize(mibToPages(mib(500))), NEVER);
    const limit = new AbortController();
    const second = rig.host.setTarget('qmp/one', guestSize(mibToPages(mib(700))), limit.signal);
    limit.abort();
    await assert.rejects(second, isTimedOut);
    goOn(qemu);
    await first;
    const { asked } = await rig.reading('qmp/one');
    assert.ok(asked.known && asked.value === 500 * 256);
    assert.deepEqual(sizesIn(qemu, 'balloon'), [500]);
  });
});

describe('memory that QEMU does not answer for long whether it plugs it in', () => {
  const grow = async ({ rig }: World, size: number, signal = NEVER): Promise<void> => {
    await rig.host.setGrowth?.('qmp/one', mibToPages(mib(size)), signal);
  };

  it('is followed by nothing that was given up while it waited', async (test) => {
    const world = await openStopped(test);
    const { rig, qemu } = world;
    const first = grow(world, 192);
    const limit = new AbortController();
    const second = grow(world, 64, limit.signal);
    limit.abort();
    await assert.rejects(second, isTimedOut);
    goOn(qemu);
    await first;
    const { growth } = await rig.reading('qmp/one');
    assert.ok(growth?.asked.known && growth.asked.value === 192 * 256);
    assert.deepEqual(sizesIn(qemu, 'requested-size'), [128, 64]);
  });

  it('is waited for, however long, before anything else is asked to be plugged in', async (test) => {
    const world = await openStopped(test);
    const { rig, qemu } = world;
    qemu.heldCommand = 'qom-set';
    const both = [grow(world, 192), grow(world, 64)];
    await until('both devices were asked', () => qemu.held.length === 2);
    await rig.pass(MINUTE);
    assert.deepEqual(await sentOf(world, 'requested-size'), [128, 64]);
    goOn(qemu);
    await Promise.all(both);
    assert.deepEqual(sizesIn(qemu, 'requested-size'), [128, 64, 64, 0]);
  });

  it('is waited for in each of its devices, also where one has refused it already', async (test) => {
    const world = await openStopped(test);
    const { rig, qemu } = world;
    qemu.heldCommand = 'qom-set';
    const set = qemu.machine.commands.get('qom-set');
    const refuseFirst: Command = (args) => {
      if (args['path'] === '/machine/peripheral/vm0') throw new Refusal('GenericError', 'it is busy');
      return set?.(args);
    };
    qemu.machine.commands.set('qom-set', refuseFirst);
    const first = assert.rejects(grow(world, 192), /it is busy/);
    const second = assert.rejects(grow(world, 256), /it is busy/);
    await until('both devices were asked', () => qemu.held.length === 2);
    qemu.held.shift()?.();
    // What comes after the refusal has come.
    qemu.emit('RESET', { guest: true, reason: 'guest-reset' });
    await rig.untilNotice('it begins anew', ({ kind }) => kind === 'guest-alarm');
    assert.deepEqual(await sentOf(world, 'requested-size'), [128, 64]);
    goOn(qemu);
    await Promise.all([first, second]);
    assert.deepEqual(sizesIn(qemu, 'requested-size'), [128, 64, 128, 128]);
  });

  it('is not asked for while it does not say what its devices have now', async (test) => {
    const world = await openStopped(test);
    const { rig, qemu } = world;
    qemu.heldCommand = 'query-memory-devices';
    const failed = assert.rejects(grow(world, 192), { code: 'ETIMEDOUT', message: /looking at what is plugged in/ });
    await until('it was asked', () => qemu.held.length === 1);
    await rig.pass(MINUTE);
    await failed;
    goOn(qemu);
    await grow(world, 64);
    assert.deepEqual(sizesIn(qemu, 'requested-size'), [64]);
  });
});
