/**
 * The program on a host of real QEMU guests, under emulation. Protects that a guest which does nothing gives memory to its host, that one
 * which needs memory gets it, and that a QEMU that stops or a daemon that dies leaves nobody small.
 */
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { labMode, requireReady, skipReason } from '../../lab/mode.js';
import { QemuGuest } from '../../lab/qemu/guest.js';
import { findQemuLab } from '../../lab/qemu/marker.js';
import { BALLOON_ID } from '../../lab/qemu/machine.js';
import { connectQmp, decodeBalloon, decodeGuestStats, type Qmp } from '../../src/qmp/index.js';
import { RealClock } from '../../src/runtime/real-clock.js';
import { PAGES_PER_MIB } from '../../src/units.js';
import { Host } from './qemu/host.js';

const MIB = 2 ** 20;
const MEMORY_MIB = 512;
/** Used once and free again before anything is taken, so that the emulator holds it. */
const TOUCHED_MIB = 250;
const NEED_MIB = 300;
/** The rule leaves every guest so much (policies/used-memory.ts). */
const LEAST_MIB = 200;
/** Enough to be seen among what an idle guest takes and gives back by itself. */
const MORE_MIB = 60;
const BALLOON = `/machine/peripheral/${BALLOON_ID}`;
const LOOK_PAUSE_MS = 250;
const TEST_LIMIT_MS = 300_000;

const state = findQemuLab();
const skip = skipReason(labMode(process.env), state);

describe('on a host of real QEMU guests', { concurrency: 1 }, () => {
  let folder: string;
  let guest: QemuGuest;
  let host: Host;
  /** What is to be ended or removed, the newest first: also where the beginning fails half way. */
  const ends: (() => Promise<void>)[] = [];

  before(async () => {
    if (skip !== false) return;
    folder = mkdtempSync(join(tmpdir(), 'selfballoon-qemu-'));
    ends.unshift(() => rm(folder, { recursive: true }));
    guest = await QemuGuest.boot(requireReady(state), { name: 'one', memoryMib: MEMORY_MIB, folder });
    ends.unshift(() => guest.close());
    const touched = await guest.load.anonymous(TOUCHED_MIB);
    await touched.until('holds');
    await touched.release();
    host = new Host([join(folder, '*.qmp')]);
    ends.unshift(() => host.close());
  });

  after(async () => {
    for (const end of ends) await end();
  });

  const test = (name: string, body: (t: TestContext) => Promise<void>): void => {
    void it(name, { skip, timeout: TEST_LIMIT_MS }, body);
  };
  const oomKills = async (): Promise<number> => (await guest.load.look()).count('oom_kill');

  test('a guest is asked for its statistics as soon as polling is switched on', async () => {
    const hour = 3_600;
    const before = await freeMibWhenPolled(hour);
    const taken = await guest.load.anonymous(MORE_MIB);
    await taken.until('holds');
    assert.equal(await freeMib(), before, 'nobody has asked it since');
    const now = await freeMibWhenPolled(hour);
    assert.ok(before - now > MORE_MIB / 2, `${before} MiB were free, then ${now}`);
    await taken.release();
    await onMonitor((qmp, limit) => setPolling(qmp, 0, limit));
  });

  test('an idle guest goes down to what the rule leaves it, and its host has the memory', async (t) => {
    const before = guest.memory.residentMib;
    host.start();
    await host.until(
      'one',
      'a small guest',
      ({ currentPages }) => (currentPages ?? Infinity) <= (LEAST_MIB + 2) * PAGES_PER_MIB,
    );
    const after = guest.memory.residentMib;
    t.diagnostic(`the emulator holds ${Math.round(before)} MiB before and ${Math.round(after)} MiB after`);
    assert.ok(before - after > 50);
    assert.equal(await oomKills(), 0);
  });

  test('a demand of more than is left is met, and nobody is killed', async () => {
    const need = await guest.load.anonymous(NEED_MIB);
    assert.equal((await need.until('holds')).mib, NEED_MIB);
    assert.equal(await oomKills(), 0);
    await host.until(
      'one',
      'a large guest',
      ({ currentPages }) => (currentPages ?? 0) >= NEED_MIB * 1.2 * PAGES_PER_MIB,
    );
    await need.release();
    await host.until(
      'one',
      'a small guest again',
      ({ currentPages }) => (currentPages ?? Infinity) <= 210 * PAGES_PER_MIB,
    );
  });

  test('a QEMU that is stopped is shown as one that cannot be read, and read again when it goes on', async () => {
    guest.signal('SIGSTOP');
    await host.until('one', 'a guest that cannot be read', ({ phase }) => phase === 'unreadable');
    guest.signal('SIGCONT');
    await host.until('one', 'a guest that can be read', ({ phase }) => phase !== 'unreadable');
  });

  test('a daemon that is killed leaves a guest that release makes whole without one', async () => {
    await host.end('SIGKILL');
    assert.ok((await heldMib()) < MEMORY_MIB / 2);
    const { code, output } = await host.ask('release');
    assert.equal(code, 0, output);
    assert.match(output, /1 guest was told to take back/);
    await untilWhole();
  });

  test('a daemon that is told to end gives everything back', async () => {
    host.start();
    await host.until(
      'one',
      'a small guest',
      ({ currentPages }) => (currentPages ?? Infinity) < (MEMORY_MIB - 100) * PAGES_PER_MIB,
    );
    await host.end('SIGTERM');
    assert.match(host.log, /gave everything back/);
    await untilWhole();
  });

  /** The test's own limit ends it otherwise. Each look takes the emulator some of the processor that the guest needs. */
  async function untilWhole(): Promise<void> {
    while ((await heldMib()) < MEMORY_MIB) await sleep(LOOK_PAUSE_MS);
  }

  /** By QEMU's own word, while no daemon holds its monitor. */
  const heldMib = (): Promise<number> =>
    onMonitor(async (qmp, signal) => (decodeBalloon(await qmp.execute('query-balloon', {}, { signal })) ?? NaN) / MIB);

  /** By the guest's newest word; NaN: it has not said. */
  const freeMib = (): Promise<number> => onMonitor(freeMibBy);

  /** Has polling begin anew, and waits for the answer, which is another than the one before. */
  const freeMibWhenPolled = (seconds: number): Promise<number> =>
    onMonitor(async (qmp, limit) => {
      const before = await freeMibBy(qmp, limit);
      await Promise.all([setPolling(qmp, 0, limit), setPolling(qmp, seconds, limit)]);
      for (;;) {
        const now = await freeMibBy(qmp, limit);
        if (!Number.isNaN(now) && now !== before) return now;
        await sleep(LOOK_PAUSE_MS);
      }
    });

  async function onMonitor<T>(ask: (qmp: Qmp, limit: AbortSignal) => Promise<T>): Promise<T> {
    const limit = AbortSignal.timeout(30_000);
    const qmp = await connectQmp(guest.monitor, { clock: new RealClock() }, limit);
    try {
      return await ask(qmp, limit);
    } finally {
      await qmp.close();
    }
  }
});

const setPolling = (qmp: Qmp, value: number, signal: AbortSignal): Promise<unknown> =>
  qmp.execute('qom-set', { path: BALLOON, property: 'guest-stats-polling-interval', value }, { signal });

async function freeMibBy(qmp: Qmp, signal: AbortSignal): Promise<number> {
  const stats = decodeGuestStats(await qmp.execute('qom-get', { path: BALLOON, property: 'guest-stats' }, { signal }));
  return (stats?.freeMemory ?? NaN) / MIB;
}
