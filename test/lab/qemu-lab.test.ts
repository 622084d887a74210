/**
 * The QEMU lab itself, on one real guest. Protects that what other tests build on is so: a guest uses memory as it is told to and says
 * what became of it, it has the agents, disks and devices that were asked for, and what it is said to suffer, it suffers.
 */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeAppImage } from '../../lab/app-image.js';
import { labMode, requireReady, skipReason } from '../../lab/mode.js';
import { DATA_FILE, makeDataDisk } from '../../lab/qemu/data-disk.js';
import { QemuGuest } from '../../lab/qemu/guest.js';
import type { LoadReport } from '../../lab/qemu/load-report.js';
import { BALLOON_ID, PLUGGABLE_ID } from '../../lab/qemu/machine.js';
import { findQemuLab } from '../../lab/qemu/marker.js';
import { makeRunFolder } from '../../lab/run-folder.js';
import { connectQmp, type Qmp } from '../../src/qmp/index.js';
import { RealClock } from '../../src/runtime/real-clock.js';
import { REPOSITORY } from '../support/paths.js';
import { PortLines } from './qemu/port-lines.js';

const MIB = 2 ** 20;
const KIB_PER_MIB = 1_024;
const MEMORY_MIB = 512;
const FILE_MIB = 150;
const PLUGGABLE_MIB = 256;
const SWAP_MIB = 64;
/** Leaves less than the file needs beside what the guest itself uses. */
const SQUEEZED_MIB = 208;
/** More than is left then, by so little that the balloon is not long in giving way: it does by 1 MiB for each look for a victim. */
const NEED_MIB = 150;
const TEST_LIMIT_MS = 120_000;
const LOOK_PAUSE_MS = 250;

const state = findQemuLab();
const skip = skipReason(labMode(process.env), state);

describe('a guest of the QEMU lab', { concurrency: 1 }, () => {
  let guest: QemuGuest;
  let monitor: Qmp;
  const ends: (() => Promise<void>)[] = [];

  before(async () => {
    if (skip !== false) return;
    const folder = makeRunFolder('selfballoon-qemu-lab');
    ends.unshift(() => rm(folder, { recursive: true }));
    guest = await QemuGuest.boot(requireReady(state), {
      name: 'one',
      memoryMib: MEMORY_MIB,
      folder,
      pluggableMib: PLUGGABLE_MIB,
      swapMib: SWAP_MIB,
      hasGuestAgent: true,
      hasOwnPort: true,
      app: await makeAppImage(REPOSITORY, folder),
      data: await makeDataDisk(folder, FILE_MIB),
    });
    ends.unshift(() => guest.close());
    monitor = await connectQmp(guest.monitor, { clock: new RealClock() }, AbortSignal.timeout(TEST_LIMIT_MS));
    ends.unshift(() => monitor.close());
  });

  after(async () => {
    for (const end of ends) await end();
  });

  const test = (name: string, body: (t: TestContext) => Promise<void>): void => {
    void it(name, { skip, timeout: TEST_LIMIT_MS }, body);
  };

  const kib = async (name: string): Promise<number> => (await guest.load.look()).kib(name);
  const setBalloon = (mib: number): Promise<unknown> => monitor.execute('balloon', { value: mib * MIB });
  const actual = async (): Promise<number> => {
    const { actual: bytes } = (await monitor.execute('query-balloon')) as { readonly actual: number };
    return bytes / MIB;
  };
  const isSqueezed = async (): Promise<boolean> => (await actual()) <= SQUEEZED_MIB + 1;
  /** Looks until it is so; the test's own limit ends it otherwise. */
  async function until(isSo: () => Promise<boolean>): Promise<void> {
    while (!(await isSo())) await sleep(LOOK_PAUSE_MS);
  }

  test('has the name, the swap and the programs that it was given', async (t) => {
    assert.equal((await guest.run('hostname')).trim(), 'one');
    assert.ok(Math.abs((await kib('SwapTotal')) - SWAP_MIB * KIB_PER_MIB) < 100);
    assert.match(await guest.run('selfballoon --version'), /^\d+\.\d+\.\d+/);
    t.diagnostic(`of ${MEMORY_MIB} MiB its kernel leaves ${Math.round((await kib('MemTotal')) / KIB_PER_MIB)}`);
  });

  test('runs a program beside the commands, and can end it', async () => {
    const program = await guest.startProgram("sh -c 'echo here; exec sleep 600'", 'program');
    assert.ok(await program.isRunning());
    assert.equal(await program.log(), 'here\n');
    await program.signal('TERM');
    await program.waitForEnd();
  });

  test('takes memory at once, and its host sees it come', async (t) => {
    const before = guest.memory.anonymousMib;
    const load = await guest.load.anonymous(250);
    const { mib, at } = await load.until('holds');
    const [began] = load.reports;
    assert.equal(mib, 250);
    const grown = guest.memory.anonymousMib - before;
    t.diagnostic(
      `250 MiB in ${Math.round((at - (began?.at ?? NaN)) / 1_000)} ms; the emulator grew by ${Math.round(grown)} MiB`,
    );
    assert.ok(grown > 50);
    const used = await kib('MemAvailable');
    await load.release();
    assert.ok((await kib('MemAvailable')) - used > 240 * KIB_PER_MIB);
  });

  test('takes memory in steps and in an even ramp, no sooner than it is told to', async () => {
    for (const [pace, steps, everyMs] of [
      [{ kind: 'steps', stepMib: 10, everyMs: 300 }, [10, 20, 25], 300],
      [{ kind: 'ramp', mibPerS: 100 }, [5, 10, 15, 20, 25], 50],
    ] as const) {
      const load = await guest.load.anonymous(25, pace);
      await load.until('holds');
      const [began, ...rest] = load.reports;
      const took = rest.filter(({ kind }) => kind === 'took');
      assert.deepEqual(
        took.map(({ mib }) => mib),
        steps,
      );
      for (const [n, { at }] of took.entries()) assert.ok(at - (began?.at ?? NaN) >= n * everyMs * 1_000);
      await load.release();
    }
  });

  test('stops half way and keeps what it has', async () => {
    const load = await guest.load.anonymous(200, { kind: 'steps', stepMib: 1, everyMs: 200 });
    await load.until('took');
    await load.stop();
    const { mib = NaN } = await load.until('holds');
    assert.ok(mib > 0 && mib < 200);
    await load.release();
  });

  test('fills a tmpfs, which is shared memory to its kernel', async () => {
    const before = await kib('Shmem');
    const load = await guest.load.tmpfs(100);
    await load.until('holds');
    // The kernel counts by processor, and adds up now and then.
    assert.ok((await kib('Shmem')) - before > 98 * KIB_PER_MIB);
    await load.release();
    assert.ok((await kib('Shmem')) - before < 2 * KIB_PER_MIB);
  });

  test('commits memory without using it', async () => {
    const [before, available] = [await kib('Committed_AS'), await kib('MemAvailable')];
    const load = await guest.load.commit(200);
    await load.until('holds');
    assert.ok((await kib('Committed_AS')) - before >= 200 * KIB_PER_MIB);
    assert.ok(available - (await kib('MemAvailable')) < 20 * KIB_PER_MIB);
    await load.release();
  });

  test('tells of what it cannot do', async () => {
    const load = await guest.load.cache({ mib: 1, file: '/data/none' });
    assert.match((await load.until('failed')).why ?? '', /open: No such file/);
    await load.release();
  });

  test('reads files again and again, and has to read them from the disk again once it is squeezed', async (t) => {
    const load = await guest.load.cache({ mib: FILE_MIB, file: DATA_FILE });
    await load.until('read');
    assert.ok((await kib('Cached')) >= FILE_MIB * KIB_PER_MIB);
    const before = (await guest.load.look()).count('workingset_refault_file');
    await setBalloon(SQUEEZED_MIB);
    await until(async () => (await guest.load.look()).count('workingset_refault_file') - before > 1_000);
    const readings = load.reports.flatMap(({ tookUs }) => (tookUs === undefined ? [] : [Math.round(tookUs / 1_000)]));
    t.diagnostic(`readings took ${readings.join(', ')} ms`);
    await setBalloon(MEMORY_MIB);
    await load.stop();
    await load.release();
  });

  test('says when a load is killed, and when it began to wait for memory', async (t) => {
    // A guest that swaps takes its time until there is nothing left.
    await guest.run('swapoff /dev/zram0');
    const stalls: LoadReport[] = [];
    const kills = (await guest.load.look()).count('oom_kill');
    guest.load.watchStalls({ everyMs: 10, stallMs: 20 }, (report) => stalls.push(report));
    const clock = await guest.load.clock();
    const load = await guest.load.anonymous(MEMORY_MIB, { kind: 'steps', stepMib: 32, everyMs: 0 });
    const killed = await load.until('killed');
    guest.load.endWatch();
    assert.equal(killed.signal, 9);
    assert.equal((await guest.load.look()).count('oom_kill'), kills + 1);
    const [stall] = stalls;
    assert.ok(stall?.since !== undefined && stall.since <= stall.at && stall.at <= killed.at);
    t.diagnostic(
      `told of the stall ${Math.round(stall.heardMs - clock.toHostMs(stall.since))} ms after it began, ` +
        `the clocks being known to ${clock.uncertaintyMs.toFixed(1)} ms`,
    );
    await load.release();
  });

  test('keeps a file in memory until it is released, also when its writer was killed', async () => {
    const load = await guest.load.tmpfs(50);
    await load.until('holds');
    await guest.run('for p in $(pidof load); do grep -q ^1000 /proc/$p/oom_score_adj && kill -9 $p; done; true');
    await load.until('killed');
    assert.ok((await kib('Shmem')) > 50 * KIB_PER_MIB);
    await load.release();
    assert.ok((await kib('Shmem')) < 50 * KIB_PER_MIB);
  });

  test("has QEMU's guest agent, which can be stopped", async () => {
    const agent = await PortLines.open(guest.guestAgentPort);
    try {
      agent.write('{"execute":"guest-info"}');
      assert.match(await agent.next(), /"version": ?"\d/);
      await guest.signalGuestAgent('STOP');
      agent.write('{"execute":"guest-ping"}');
      assert.equal(await agent.nextWithin(2_000), null);
      await guest.signalGuestAgent('CONT');
      assert.deepEqual(JSON.parse(await agent.next()), { return: {} });
    } finally {
      agent.close();
    }
  });

  test('has a port for our own agent, which carries both directions', async () => {
    const port = await PortLines.open(guest.ownPort);
    try {
      port.write('to the guest');
      const script = 'exec 4<>/dev/virtio-ports/org.selfballoon.0; read -r line <&4; echo "got $line" >&4';
      await guest.run(script);
      assert.equal(await port.next(), 'got to the guest');
    } finally {
      port.close();
    }
  });

  test('gets memory plugged and gives it back', async (t) => {
    const path = `/machine/peripheral/${PLUGGABLE_ID}`;
    const plug = (mib: number): Promise<unknown> =>
      monitor.execute('qom-set', { path, property: 'requested-size', value: mib * MIB });
    const before = await kib('MemTotal');
    const start = performance.now();
    await plug(PLUGGABLE_MIB);
    await until(async () => (await kib('MemTotal')) - before >= PLUGGABLE_MIB * KIB_PER_MIB);
    t.diagnostic(`${PLUGGABLE_MIB} MiB were online after ${Math.round(performance.now() - start)} ms`);
    await plug(0);
    await until(async () => (await kib('MemTotal')) === before);
  });

  test('loses what its balloon took from it only while the driver is there', async () => {
    await setBalloon(SQUEEZED_MIB);
    await until(isSqueezed);
    const squeezed = await kib('MemAvailable');
    await guest.unloadBalloon();
    assert.ok((await kib('MemAvailable')) - squeezed > 200 * KIB_PER_MIB);
    await guest.loadBalloon();
    await until(async () => (await kib('MemAvailable')) - squeezed < 50 * KIB_PER_MIB);
    await setBalloon(MEMORY_MIB);
    await until(async () => (await actual()) === MEMORY_MIB);
  });

  test('has a balloon that gives way before somebody is killed', async () => {
    const path = `/machine/peripheral/${BALLOON_ID}`;
    assert.equal(await monitor.execute('qom-get', { path, property: 'deflate-on-oom' }), true);
    await setBalloon(SQUEEZED_MIB);
    await until(isSqueezed);
    const kills = (await guest.load.look()).count('oom_kill');
    const load = await guest.load.anonymous(NEED_MIB);
    await load.until('holds');
    assert.equal((await guest.load.look()).count('oom_kill'), kills);
    await load.release();
    await setBalloon(MEMORY_MIB);
  });
});
