/**
 * The client and the decoders against a real QEMU, which runs no guest. The clock stands still unless a test moves it, so nothing here
 * depends on how fast the machine is; what hangs is ended by the tests' own limit.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import * as answers from '../../src/qmp/answers.js';
import { decodeEvent, type MachineNews } from '../../src/qmp/events.js';
import { decodeGuestStats } from '../../src/qmp/guest-stats.js';
import { connectQmp, QmpError, type Qmp, type Transport } from '../../src/qmp/index.js';
import { LINE_BYTES_MAX } from '../../src/qmp/line-decoder.js';
import { connectUnixSocket } from '../../src/qmp/unix-socket.js';
import { VirtualClock } from '../../src/sim/index.js';
import { bytes, millis } from '../../src/units.js';
import { qmpError, rejection } from './support/failures.js';
import { askUntilFull, patience, until } from './support/opened.js';
import { INSTALLED_VERSION, listenAt, NEEDS_QEMU, RealQemu } from './support/real-qemu.js';

const MIB = 2 ** 20;
const UUID = '550e8400-e29b-41d4-a716-446655440000';

/** A test that is skipped by its name where there is no QEMU. */
const real = (name: string, run: () => unknown): void => {
  it(name, { skip: NEEDS_QEMU, timeout: 120_000 }, async () => {
    await run();
  });
};

describe('a real QEMU without a machine', () => {
  const news: (MachineNews | string)[] = [];
  const events = {
    onEvent: (event: Parameters<typeof decodeEvent>[0]) => news.push(decodeEvent(event) ?? event.name),
    onError: (error: unknown) => assert.fail(String(error)),
  };
  let qemu: RealQemu;
  let qmp: Qmp;

  before(async () => {
    if (NEEDS_QEMU !== false) return;
    qemu = new RealQemu((path) => [
      ...['-machine', 'none', '-name', 'vm one', '-uuid', UUID, '-monitor', listenAt(path('people'))],
      ...['-chardev', `socket,id=pretty,path=${path('pretty')},server=on,wait=off`],
      ...['-mon', 'chardev=pretty,mode=control,pretty=on'],
    ]);
    qmp = await qemu.connect({ clock: new VirtualClock(), waitingMax: 1_000, events });
  });
  after(async () => {
    if (NEEDS_QEMU === false) await qemu.close();
  });

  real('greets, and is ready with nothing enabled', () => {
    assert.ok(qmp.version !== null);
    assert.equal(`${qmp.version.major}.${qmp.version.minor}.${qmp.version.micro}`, INSTALLED_VERSION);
    assert.equal(qmp.isReady, true);
  });

  real('says who it is', async () => {
    assert.deepEqual(answers.decodeVersion(await qmp.execute('query-version')), qmp.version);
    assert.equal(answers.decodeName(await qmp.execute('query-name')), 'vm one');
    assert.equal(answers.decodeUuid(await qmp.execute('query-uuid')), UUID);
    const status = answers.decodeStatus(await qmp.execute('query-status'));
    assert.deepEqual(status, { isRunning: false, status: 'prelaunch' });
  });

  real('refuses what it does not know, and goes on', async () => {
    const unknown = await rejection(qmp.execute('query-nothing'));
    assert.deepEqual([unknown.class, unknown.code], ['CommandNotFound', 'ENODEV']);
    const tooMuch = await rejection(qmp.execute('query-name', { more: 1 }));
    assert.deepEqual([tooMuch.class, tooMuch.mayHaveHappened], ['GenericError', false]);
    const again = await rejection(qmp.execute('qmp_capabilities'));
    assert.equal(again.class, 'CommandNotFound');
    assert.equal(answers.decodeName(await qmp.execute('query-name')), 'vm one');
  });

  real('has no balloon, and says so', async () => {
    for (const [command, args] of [['query-balloon'], ['balloon', answers.balloonArguments(bytes(MIB))]] as const) {
      const error = await rejection(qmp.execute(command, args));
      assert.deepEqual([error.class, error.code], ['DeviceNotActive', 'ENODEV']);
    }
  });

  real('answers many commands at once, each its own', async () => {
    const commands = ['query-name', 'query-uuid', 'query-status', 'query-version'];
    const alone = await Promise.all(commands.map((command) => qmp.execute(command)));
    const many = await Promise.all(Array.from({ length: 400 }, (_, n) => qmp.execute(commands[n % 4] ?? '')));
    for (const [n, answer] of many.entries()) assert.deepEqual(answer, alone[n % 4]);
    assert.deepEqual(qmp.counts, { lateAnswers: 0, strayMessages: 0, failedEvents: 0 });
  });

  real('has no answer that comes near the limits of a line', async () => {
    const schema = JSON.stringify(await qmp.execute('query-qmp-schema'));
    assert.ok(schema.length > 100_000 && schema.length < LINE_BYTES_MAX / 2, `${schema.length} characters`);
  });

  real('tells of what happens to it', async () => {
    await qmp.execute('cont');
    await qmp.execute('stop');
    await until('it has told', () => news.length >= 2);
    assert.deepEqual(news, [{ kind: 'resume' }, { kind: 'stop' }]);
  });

  real('greets one client at a time, and the next when that one is gone', async () => {
    const clock = new VirtualClock();
    const second = rejection(connectQmp(qemu.path('qmp'), { clock }, patience()));
    await until('it waits', () => clock.nextTimerAt !== null);
    await clock.advanceTo(millis(5_000));
    assert.ok(qmpError('ETIMEDOUT', /did not greet in time\. A QMP socket serves one client at a time/)(await second));
    // Some more wait in the kernel's queue, and then there is no room even for that.
    const others = await Promise.all(
      Array.from({ length: 8 }, () => connectUnixSocket(qemu.path('qmp'), patience()).catch((error: unknown) => error)),
    );
    const refused = others.filter((other) => other instanceof QmpError);
    assert.ok(refused.length > 0 && refused.every(qmpError('EUNAVAILABLE', /Others wait there already/)));
    for (const other of others) if (!(other instanceof QmpError)) await (other as Transport).close();
    assert.equal(qmp.isReady, true);
    await qmp.close();
    qmp = await qemu.connect({ clock, events });
    assert.equal(qmp.isReady, true);
  });

  real('is not understood where its monitor is one for people, or writes prettily', async () => {
    for (const name of ['people', 'pretty']) {
      const error = await rejection(qemu.connect({ clock: new VirtualClock() }, name));
      assert.ok(qmpError('EPROTO', /not JSON.*mode=control and without pretty=on/)(error));
    }
  });

  real('ends when it is told to, with its answer or without', async () => {
    news.length = 0;
    await qmp.execute('quit').catch(qmpError('EUNAVAILABLE'));
    const end = await qmp.closed;
    assert.ok(end.kind === 'lost' && end.error.qmpCode === 'EUNAVAILABLE');
    assert.deepEqual(news, [{ kind: 'shutdown', byGuest: false, reason: 'host-qmp-quit' }]);
    assert.equal(await qemu.exit, 0);
  });
});

describe('a real QEMU with a balloon and virtio-mem', () => {
  const BALLOON = '/machine/peripheral/balloon0';
  const clock = new VirtualClock();
  let qemu: RealQemu;
  let qmp: Qmp;

  before(async () => {
    if (NEEDS_QEMU !== false) return;
    qemu = new RealQemu(() => [
      ...['-machine', 'pc', '-m', '64M,maxmem=1G', '-device', 'virtio-balloon-pci,id=balloon0'],
      ...['-object', 'memory-backend-ram,id=memory0,size=256M'],
      ...['-device', 'virtio-mem-pci,id=plug0,memdev=memory0,requested-size=64M'],
    ]);
    qmp = await qemu.connect({ clock });
  });
  after(async () => {
    if (NEEDS_QEMU === false) await qemu.close();
  });

  const property = (name: string): Promise<unknown> => qmp.execute('qom-get', { path: BALLOON, property: name });

  real('says how large it is, in bytes', async () => {
    assert.equal(answers.decodeBalloon(await qmp.execute('query-balloon')), 64 * MIB);
    const summary = answers.decodeMemorySizeSummary(await qmp.execute('query-memory-size-summary'));
    assert.deepEqual(summary, { base: 64 * MIB, plugged: 0 });
    assert.equal(answers.decodeName(await qmp.execute('query-name')), null);
    assert.equal(answers.decodeUuid(await qmp.execute('query-uuid')), null);
  });

  real('lists its balloon, and what that one has', async () => {
    const devices = answers.decodeQomList(await qmp.execute('qom-list', { path: '/machine/peripheral' }));
    assert.ok(devices?.some(({ name, type }) => name === 'balloon0' && type === 'child<virtio-balloon-pci>'));
    const properties = answers.decodeQomList(await qmp.execute('qom-list', { path: BALLOON }));
    for (const name of ['guest-stats', 'guest-stats-polling-interval', 'deflate-on-oom']) {
      assert.ok(properties?.some((known) => known.name === name));
    }
    const missing = await rejection(qmp.execute('qom-list', { path: '/machine/peripheral/balloon1' }));
    assert.deepEqual([missing.class, missing.code], ['DeviceNotFound', 'ENOENT']);
  });

  real('has heard nothing of its guest, and so nothing is known of it', async () => {
    const stats = decodeGuestStats(await property('guest-stats'));
    assert.ok(stats !== null && Object.keys(stats).length === 17);
    for (const [name, value] of Object.entries(stats)) assert.equal(value, null, name);
  });

  real('can be told how often to ask its guest', async () => {
    assert.equal(answers.decodePollingInterval(await property('guest-stats-polling-interval')), 0);
    const set = (value: number): Promise<unknown> =>
      qmp.execute('qom-set', { path: BALLOON, property: 'guest-stats-polling-interval', value });
    await set(2);
    assert.equal(answers.decodePollingInterval(await property('guest-stats-polling-interval')), 2);
    await assert.rejects(set(-1), qmpError('EREFUSED', /GenericError/));
    assert.equal(answers.decodeDeflateOnOom(await property('deflate-on-oom')), false);
  });

  real('takes a size for its guest, who does nothing about it, and refuses none at all', async () => {
    await qmp.execute('balloon', answers.balloonArguments(bytes(32 * MIB)));
    assert.equal(answers.decodeBalloon(await qmp.execute('query-balloon')), 64 * MIB);
    await qmp.execute('balloon', answers.balloonArguments(bytes(1024 * MIB)));
    await assert.rejects(
      qmp.execute('balloon', answers.balloonArguments(bytes(0))),
      qmpError('EREFUSED', /GenericError/),
    );
  });

  real('says what was plugged into it', async () => {
    const devices = answers.decodeVirtioMemDevices(await qmp.execute('query-memory-devices'));
    assert.equal(devices?.length, 1);
    const { id, requestedSize, size, maxSize, blockSize, node, memdev } = devices[0] ?? assert.fail();
    assert.deepEqual(
      { id, requestedSize, size, maxSize, node, memdev },
      { id: 'plug0', requestedSize: 64 * MIB, size: 0, maxSize: 256 * MIB, node: 0, memdev: '/objects/memory0' },
    );
    assert.ok(blockSize >= MIB && maxSize % blockSize === 0);
  });

  real('that is stopped leaves every command its limit, and is sent eight and a fixed number of bytes', async () => {
    await qemu.signal('STOP');
    const calls = Array.from({ length: 12 }, () => rejection(qmp.execute('query-balloon')));
    await clock.advanceTo(millis(clock.now() + 5_000));
    const errors = await Promise.all(calls);
    for (const error of errors) assert.equal(error.qmpCode, 'ETIMEDOUT');
    assert.equal(errors.filter(({ mayHaveHappened }) => mayHaveHappened).length, 8);
    await qemu.signal('CONT');
    assert.equal(answers.decodeBalloon(await qmp.execute('query-balloon')), 64 * MIB);
    assert.deepEqual(qmp.counts, { lateAnswers: 8, strayMessages: 0, failedEvents: 0 });
  });

  real('that is stopped is not written to without end, and nothing is lost when it goes on', async () => {
    await qmp.close();
    qmp = await qemu.connect({ clock, inFlightMax: 100_000 });
    await qemu.signal('STOP');
    const calls = await askUntilFull(qmp, 'qom-list', { path: `/${'x'.repeat(10_000)}` });
    await qemu.signal('CONT');
    const errors = await Promise.all(calls);
    const refusal = errors.pop();
    assert.deepEqual([refusal?.qmpCode, refusal?.mayHaveHappened], ['EBUSY', false]);
    for (const error of errors) assert.equal(error.class, 'DeviceNotFound');
  });
});
