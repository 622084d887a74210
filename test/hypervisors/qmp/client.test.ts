/** Protects what is seen of QEMU's machines and asked of them: by their monitors alone, one not hurting the others. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../src/errors.js';
import { guestSize, mib, mibToPages, pages } from '../../../src/units.js';
import type { FakeQemu } from '../../qmp/support/fake-qemu.js';
import { until } from '../../qmp/support/opened.js';
import { MIB, openRig, Rig } from './support/rig.js';

const NEVER = new AbortController().signal;
const failsWith =
  (code: string, message = /./) =>
  (error: unknown): boolean =>
    error instanceof HypervisorError && error.code === code && message.test(error.message);

describe('machines behind monitors', () => {
  it('are named by QEMU, by their UUID, or by their sockets', async (test) => {
    const rig = new Rig();
    test.after(() => rig.host.close());
    await rig.addQemu(test, 'web 1');
    const byUuid = await rig.addQemu(test, undefined);
    byUuid.machine.uuid = '0B5C8C55-97F3-4AB9-AD63-4A1C7A0A2F8E';
    await rig.addQemu(test, undefined);
    rig.watch();
    await rig.untilCame(3);
    const names = rig.notices.flatMap((notice) => (notice.kind === 'guest-came' ? [notice.guest.name] : []));
    assert.deepEqual(names.sort(), ['0b5c8c55-97f3-4ab9-ad63-4a1c7a0a2f8e', '2', 'web_1']);
  });

  it('of one name are told apart by their sockets', async (test) => {
    const rig = await openRig(test, 'twin', 'twin');
    const ids = rig.notices.flatMap((notice) => (notice.kind === 'guest-came' ? [notice.guest.id] : []));
    assert.equal(new Set(ids).size, 2);
    assert.ok(ids.includes('qmp/twin'));
    assert.match(rig.told.join(), new RegExp(`another machine has the name of the one at ${rig.qemus[1]?.path}`));
  });

  it('of one name are told of once, however often a monitor is lost, and anew when that has changed', async (test) => {
    const rig = await openRig(test, 'twin', 'twin');
    const [first, second] = rig.qemus;
    const lines = (): number => rig.told.filter((line) => line.startsWith('another machine has the name')).length;
    const comesAnew = async (qemu: FakeQemu | undefined, came: number): Promise<void> => {
      qemu?.connections.forEach(({ socket }) => socket.destroy());
      for (let passed = 0; rig.notices.filter(({ kind }) => kind === 'guest-came').length < came; passed += 250) {
        assert.ok(passed < 10_000, 'it does not come again');
        await rig.pass(250);
      }
    };
    for (const came of [3, 4, 5]) await comesAnew(second, came);
    assert.equal(lines(), 1);
    // The name is free for it meanwhile.
    await first?.end();
    await rig.untilNotice('the first left', ({ kind, guest }) => kind === 'guest-left' && guest === 'qmp/twin');
    await comesAnew(second, 6);
    assert.equal(lines(), 1);
    await first?.listen();
    await comesAnew(first, 7);
    assert.equal(lines(), 2);
  });

  it('of one name have the same ids whichever answers first, and wait a second for that at most', async (test) => {
    const rig = new Rig();
    test.after(() => rig.host.close());
    const late = await rig.addQemu(test, 'twin');
    late.machine.commands.set('query-name', () => {
      late.isHolding = true;
      return { name: 'twin' };
    });
    const never = await rig.addQemu(test, 'never');
    never.greeting = [];
    await rig.addQemu(test, 'twin');
    rig.watch();
    await until('the late one is asked', () => late.held.length > 0);
    await until('the other was asked for all', () => rig.qemus[2]?.asked.includes('qom-set') === true);
    for (let turn = 0; turn < 20; turn += 1) await rig.pass(1);
    assert.equal(
      rig.notices.some(({ kind }) => kind === 'guest-came'),
      false,
    );
    late.isHolding = false;
    late.machine.commands.delete('query-name');
    late.release();
    await rig.untilCame(1);
    for (let passed = 0; rig.notices.length < 2; passed += 100) {
      assert.ok(passed <= 1_100, 'it waits longer');
      await rig.pass(100);
    }
    const ids = rig.notices.flatMap((notice) => (notice.kind === 'guest-came' ? [notice.guest.id] : []));
    assert.equal(ids[0], 'qmp/twin');
    assert.match(ids[1] ?? '', /^qmp\/twin:.*2\.qmp$/);
  });

  it('are found when their sockets come, and dropped when their QEMUs end', async (test) => {
    const rig = await openRig(test, 'one');
    const two = await rig.addQemu(test, 'two');
    await rig.pass(2_001);
    await rig.untilCame(2);
    await two.end();
    rig.sockets.pop();
    await rig.untilNotice('it left', ({ kind }) => kind === 'guest-left');
    assert.deepEqual(rig.notices.at(-1), { kind: 'guest-left', guest: 'qmp/two' });
    const [failed] = (await rig.look(['qmp/two'])).filter(({ kind }) => kind === 'reading-failed');
    assert.ok(failed?.kind === 'reading-failed' && failed.error.code === 'EGONE');
  });

  it('come again under the same ids when a QEMU begins anew on the same socket', async (test) => {
    const rig = await openRig(test, 'one');
    const [qemu] = rig.qemus;
    assert.ok(qemu !== undefined);
    await qemu.end();
    await rig.untilNotice('it left', ({ kind }) => kind === 'guest-left');
    await qemu.listen();
    for (let waited = 0; waited < 20 && rig.notices.length < 3; waited += 1) await rig.pass(500);
    await rig.untilCame(2);
    const ids = rig.notices.map((notice) => (typeof notice.guest === 'string' ? notice.guest : notice.guest.id));
    assert.deepEqual(ids, ['qmp/one', 'qmp/one', 'qmp/one']);
  });

  it('go on although another one sends no greeting, garbage, or nothing any more', async (test) => {
    const rig = new Rig();
    test.after(() => rig.host.close());
    await rig.addQemu(test, 'good');
    const mute = await rig.addQemu(test, 'mute');
    mute.greeting = [];
    const mad = await rig.addQemu(test, 'mad');
    mad.greeting = ['{"QMP": ', 'x'.repeat(5_000), '\n'];
    rig.watch();
    await rig.untilCame(1);
    const reading = await rig.reading('qmp/good');
    assert.ok(reading.current.known);
    await rig.host.setTarget('qmp/good', guestSize(pages(100_000)), NEVER);
    assert.equal(rig.qemus[0]?.machine.target, 100_000 * 4_096);
    await rig.pass(6_000);
    await until('both were told of', () => rig.told.length >= 2);
    assert.match(rig.told.join('\n'), /the QEMU at .* is lost/);
  });
});

describe('a machine without a balloon', () => {
  it('is told of as one that is only watched, and is not an error', async (test) => {
    const rig = new Rig();
    test.after(() => rig.host.close());
    (await rig.addQemu(test, 'bare')).machine.actual = null;
    rig.watch();
    await rig.untilCame(1);
    const [came] = rig.notices;
    assert.ok(came?.kind === 'guest-came' && !came.guest.capabilities.canSetTarget);
    const { current, maximum } = await rig.reading('qmp/bare');
    assert.ok(!current.known && current.reason === 'not-reported');
    assert.ok(maximum.known && maximum.value === 262_144);
    await assert.rejects(rig.host.setTarget('qmp/bare', guestSize(pages(1_000)), NEVER), failsWith('EPERM', /balloon/));
  });

  it('is one from then on when the balloon is unplugged', async (test) => {
    const rig = await openRig(test, 'one');
    rig.qemus[0]?.emit('DEVICE_DELETED', { device: 'balloon0', path: '/machine/peripheral/balloon0' });
    await rig.untilNotice('it changed', ({ kind }) => kind === 'guest-changed');
    const changed = rig.notices.at(-1);
    assert.ok(changed?.kind === 'guest-changed' && !changed.guest.capabilities.canSetTarget);
  });
});

describe('many machines', () => {
  it('are all told of in one look, and one that is stopped holds up no other', async (test) => {
    const names = Array.from({ length: 20 }, (_, n) => `guest-${n}`);
    const rig = await openRig(test, ...names);
    const ids = rig.notices.flatMap((notice) => (notice.kind === 'guest-came' ? [notice.guest.id] : []));
    const stopped = rig.qemus[3];
    assert.ok(stopped !== undefined);
    stopped.isHolding = true;
    const limit = new AbortController();
    const told: string[] = [];
    const looking = rig.host.read(
      ids,
      (outcome) => {
        if (outcome.kind !== 'host-reading') told.push(outcome.kind);
      },
      limit.signal,
    );
    await until('the others are told of', () => told.length === names.length - 1);
    assert.ok(told.every((kind) => kind === 'reading'));
    limit.abort();
    await looking;
    assert.equal(told.at(-1), 'reading-failed');
    assert.equal(told.length, names.length);
    // It goes on, so that it can be left.
    stopped.isHolding = false;
    for (const give of stopped.held) give();
  });
});

describe('a machine that moves', () => {
  it('is told of, so that it is looked at', async (test) => {
    const rig = await openRig(test, 'one');
    const untilMoved = (times: number): Promise<void> =>
      rig.untilNotice('it moved', ({ kind }) => kind === 'guest-moved', times);
    rig.qemus[0]?.emit('BALLOON_CHANGE', { actual: 512 * MIB });
    await untilMoved(1);
    // What comes within a quarter of a second is not told.
    rig.qemus[0]?.emit('BALLOON_CHANGE', { actual: 500 * MIB });
    rig.qemus[0]?.emit('BALLOON_CHANGE', { actual: 490 * MIB });
    await rig.pass(249);
    rig.qemus[0]?.emit('BALLOON_CHANGE', { actual: 480 * MIB });
    // What comes after them has come.
    rig.qemus[0]?.emit('RESET', { guest: true, reason: 'guest-reset' });
    await rig.untilNotice('it begins anew', ({ kind }) => kind === 'guest-alarm');
    assert.equal(rig.notices.filter(({ kind }) => kind === 'guest-moved').length, 1);
    await rig.pass(1);
    const path = '/machine/peripheral/vm0';
    rig.qemus[0]?.emit('MEMORY_DEVICE_SIZE_CHANGE', { id: 'vm0', size: 256 * MIB, 'qom-path': path });
    await untilMoved(2);
  });

  it('is not told of while it is looked at every second, for then its next look comes soon enough', async (test) => {
    const rig = await openRig(test, 'one');
    const guest = rig.notices.flatMap((notice) => (notice.kind === 'guest-came' ? [notice.guest.id] : []));
    for (const pause of [1_000, 1_000]) {
      await rig.pass(pause);
      await rig.look(guest);
    }
    rig.qemus[0]?.emit('BALLOON_CHANGE', { actual: 512 * MIB });
    // What comes after it has come.
    rig.qemus[0]?.emit('DEVICE_DELETED', { device: 'balloon0', path: '/machine/peripheral/balloon0' });
    await rig.untilNotice('it changed', ({ kind }) => kind === 'guest-changed');
    assert.deepEqual(
      rig.notices.filter(({ kind }) => kind === 'guest-moved'),
      [],
    );
    await rig.pass(5_000);
    await rig.look(guest);
    rig.qemus[0]?.emit('BALLOON_CHANGE', { actual: 500 * MIB });
    await rig.untilNotice('it moved', ({ kind }) => kind === 'guest-moved');
  });
});

describe('a machine that is reset', () => {
  it('is told of at once: its guest boots in what was left to it, and nobody in it says what it needs', async (test) => {
    const rig = await openRig(test, 'one');
    rig.qemus[0]?.emit('RESET', { guest: true, reason: 'guest-reset' });
    await rig.untilNotice('it begins anew', ({ kind }) => kind === 'guest-alarm');
    const notice = rig.notices.at(-1);
    assert.ok(notice?.kind === 'guest-alarm' && notice.alarm.cause === 'restarted' && notice.guest === 'qmp/one');
  });

  it('keeps what it is told that it may, and then what its new balloon driver says', async (test) => {
    const rig = await openRig(test, 'one');
    const [qemu] = rig.qemus;
    assert.ok(qemu !== undefined);
    const { machine } = qemu;
    machine.actual = 300 * MIB;
    assert.ok((await rig.reading('qmp/one')).current.known);
    qemu.emit('RESET', { guest: true, reason: 'guest-reset' });
    await rig.untilNotice('it begins anew', ({ kind }) => kind === 'guest-alarm');
    const held = async (): Promise<number> => {
      const { current } = await rig.reading('qmp/one');
      return current.known ? current.value : NaN;
    };
    const whole = machine.memory / 4_096;
    assert.equal(await held(), 300 * 256);
    machine.isObedient = false;
    await rig.host.setTarget('qmp/one', guestSize(pages(500 * 256)), NEVER);
    assert.equal(await held(), 500 * 256, 'no driver has said anything yet');
    machine.commands.set('balloon', ({ value }) => {
      machine.actual = Number(value);
      return {};
    });
    await rig.host.setTarget('qmp/one', guestSize(pages(whole)), NEVER);
    assert.equal(machine.actual, (whole - 1) * 4_096);
    await rig.pass(2_000);
    assert.equal(await held(), whole - 1);
  });

  it('keeps what it is heard to have been made by its new driver, also where that is what it was before', async (test) => {
    const rig = await openRig(test, 'one');
    const [qemu] = rig.qemus;
    assert.ok(qemu !== undefined);
    qemu.machine.actual = 300 * MIB;
    await rig.reading('qmp/one');
    qemu.emit('RESET', { guest: true, reason: 'guest-reset' });
    await rig.untilNotice('it begins anew', ({ kind }) => kind === 'guest-alarm');
    await rig.pass(2_000);
    qemu.machine.resize(300 * MIB);
    // Its event comes before the answers to a look, and counts from the next one on.
    await rig.reading('qmp/one');
    await rig.pass(1);
    await rig.reading('qmp/one');
    // An empty balloon is asked for as ever, and not all but a page of it.
    await rig.host.setTarget('qmp/one', guestSize(pages(qemu.machine.memory / 4_096)), NEVER);
    assert.equal(qemu.machine.target, qemu.machine.memory);
  });
});

describe('statistics of a balloon', () => {
  it('are switched on, and put back as they were at the end', async (test) => {
    const rig = await openRig(test, 'one');
    const machine = rig.qemus[0]?.machine;
    assert.equal(machine?.pollingInterval, 1);
    await rig.host.close();
    assert.equal(machine.pollingInterval, 0);
  });

  it('are what the guest said, in pages, at the time at which it said so', async (test) => {
    const rig = await openRig(test, 'one');
    const machine = rig.qemus[0]?.machine;
    assert.ok(machine !== undefined);
    await rig.pass(10_000);
    machine.lastUpdate = rig.seconds - 3;
    machine.stats = {
      'stat-total-memory': 1_000 * MIB,
      'stat-available-memory': 600 * MIB,
      'stat-free-memory': 100 * MIB,
      'stat-disk-caches': 400 * MIB,
    };
    const { total, available, used, cached } = await rig.reading('qmp/one');
    assert.deepEqual(total, { known: true, value: 256_000, at: 7_000 });
    assert.ok(available.known && available.value === 153_600);
    // Of 1,024 MiB that it keeps, of which its kernel manages 1,000.
    assert.ok(used.known && used.value === 108_544);
    assert.ok(cached.known && cached.value === 102_400);
  });

  it('that were never reported are unknown, and do not stop the target', async (test) => {
    const rig = await openRig(test, 'one');
    const { total, used } = await rig.reading('qmp/one');
    assert.ok(!total.known && total.reason === 'not-reported');
    assert.ok(!used.known);
  });
});

describe('a target', () => {
  it('goes to QEMU in bytes, as what the guest is to keep', async (test) => {
    const rig = await openRig(test, 'one');
    await rig.host.setTarget('qmp/one', guestSize(mibToPages(mib(700))), NEVER);
    const asked = rig.qemus[0]?.requests.filter(({ execute }) => execute === 'balloon');
    assert.deepEqual(
      asked?.map(({ arguments: args }) => args),
      [{ value: 734_003_200 }],
    );
    const { current, asked: remembered } = await rig.reading('qmp/one');
    assert.ok(current.known && current.value === 179_200);
    assert.ok(remembered.known && remembered.value === 179_200);
  });

  it('of nothing is never asked for', async (test) => {
    const rig = await openRig(test, 'one');
    await assert.rejects(rig.host.setTarget('qmp/one', guestSize(pages(0)), NEVER), failsWith('EINVAL'));
    assert.ok(!rig.qemus[0]?.asked.includes('balloon'));
  });

  it('that has no answer ends at its limit, and others are set meanwhile', async (test) => {
    const rig = await openRig(test, 'one', 'two');
    const [one] = rig.qemus;
    assert.ok(one !== undefined);
    one.isHolding = true;
    const limit = new AbortController();
    const slow = rig.host.setTarget('qmp/one', guestSize(pages(1_000)), limit.signal);
    await rig.host.setTarget('qmp/two', guestSize(pages(2_000)), NEVER);
    limit.abort();
    await assert.rejects(slow, failsWith('ETIMEDOUT', /stopped/));
    one.isHolding = false;
    one.release();
  });

  it('that QEMU refuses fails with its words', async (test) => {
    const rig = await openRig(test, 'one');
    rig.qemus[0]?.machine.commands.delete('balloon');
    await assert.rejects(rig.host.setTarget('qmp/one', guestSize(pages(1_000)), NEVER), failsWith('ENODEV', /balloon/));
  });
});

describe('a QEMU that is stopped', () => {
  it('is not read within the limit, while the others are', async (test) => {
    const rig = await openRig(test, 'one', 'two');
    const [one] = rig.qemus;
    assert.ok(one !== undefined);
    one.isHolding = true;
    const limit = new AbortController();
    const looking = rig.look(['qmp/one', 'qmp/two'], limit.signal);
    await until('both were asked', () => rig.qemus.every(({ asked }) => asked.includes('query-balloon')));
    limit.abort();
    const outcomes = await looking;
    const failed = outcomes.filter(({ kind }) => kind === 'reading-failed');
    assert.ok(failed[0]?.kind === 'reading-failed' && failed[0].guest === 'qmp/one');
    assert.equal(failed[0].error.code, 'ETIMEDOUT');
    one.isHolding = false;
    one.release();
  });
});
