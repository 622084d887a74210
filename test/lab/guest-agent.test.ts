/**
 * The program on a host of a real QEMU guest with QEMU's guest agent in it, under emulation. Protects that a guest in which nothing of
 * ours is installed is driven by what is committed in it, and that its agent's silence costs it nothing.
 */
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { labMode, requireReady, skipReason } from '../../lab/mode.js';
import { QemuGuest } from '../../lab/qemu/guest.js';
import { findQemuLab } from '../../lab/qemu/marker.js';
import { waitFor } from '../../lab/xen/shell.js';
import { PAGES_PER_MIB } from '../../src/units.js';
import { Host } from './qemu/host.js';

const MEMORY_MIB = 512;
/** The rule by statistics alone leaves every guest so much (policies/used-memory.ts); the law knows better. */
const LEAST_BY_STATISTICS_MIB = 200;
const NEED_MIB = 300;
const TEST_LIMIT_MS = 300_000;
/** Of `/proc`: meminfo, vmstat, pressure and zoneinfo. */
const FILES = 4;
const OPEN_LIMIT_MS = 120_000;
/** What the agent is asked for. */
const NEEDED = ['totalPages', 'committedPages', 'reservePages', 'swapTotalPages', 'refaultsCount'] as const;
const OPEN_FILES = 'ls -l /proc/$(cat /run/guest-agent.pid)/fd | grep -c " /proc/" || true';

const state = findQemuLab();
const skip = skipReason(labMode(process.env), state);

describe('on a host of a real QEMU guest with a guest agent', { concurrency: 1 }, () => {
  let guest: QemuGuest;
  let host: Host;
  /** What is to be ended or removed, the newest first: also where the beginning fails half way. */
  const ends: (() => Promise<void>)[] = [];

  before(async () => {
    if (skip !== false) return;
    const folder = mkdtempSync(join(tmpdir(), 'selfballoon-agent-lab-'));
    ends.unshift(() => rm(folder, { recursive: true }));
    guest = await QemuGuest.boot(requireReady(state), {
      name: 'one',
      memoryMib: MEMORY_MIB,
      folder,
      hasGuestAgent: true,
    });
    ends.unshift(() => guest.close());
    host = new Host([join(folder, '*.qmp')]);
    ends.unshift(() => host.close());
    host.start();
  });

  after(async () => {
    for (const end of ends) await end();
  });

  const test = (name: string, body: () => Promise<void>): void => {
    void it(name, { skip, timeout: TEST_LIMIT_MS }, body);
  };
  const openFiles = async (): Promise<number> => Number(await guest.run(OPEN_FILES));
  const atFloor = (): ReturnType<Host['until']> =>
    host.until('one', 'its floor by the law', ({ reason, phase, currentPages, reading }) => {
      const held = (currentPages ?? Infinity) / PAGES_PER_MIB;
      const isThere = reason?.code === 'at-floor' && phase === 'steady' && held < LEAST_BY_STATISTICS_MIB;
      return isThere && NEEDED.every((name) => typeof reading?.[name] === 'number');
    });

  test('an idle guest without swap goes to its floor by what is committed in it', async () => {
    const { reading } = await atFloor();
    assert.equal(reading?.swapTotalPages, 0);
    // Linux goes on counting the balloon; what is outside of it is what the law goes by.
    const own = Number(/\d+/.exec(await guest.run('grep MemTotal /proc/meminfo'))?.[0]) / 4;
    assert.ok((reading.totalPages ?? Infinity) < own / 2, `${reading.totalPages} of ${own} pages`);
    // One that was not opened in time is left alone for a minute.
    await waitFor({ what: 'each of four files open once', limitMs: OPEN_LIMIT_MS }, async () =>
      (await openFiles()) === FILES ? true : null,
    );
  });

  test('gives it back what it needs at once, and nobody is killed', async () => {
    const before = (await guest.load.look()).count('oom_kill');
    const need = await guest.load.anonymous(NEED_MIB);
    await need.until('holds');
    await need.release();
    assert.equal((await guest.load.look()).count('oom_kill'), before);
    await atFloor();
  });

  test('makes it no smaller while its agent is stopped, and goes on with it', async () => {
    const { currentPages } = await atFloor();
    await guest.signalGuestAgent('STOP');
    const silent = await host.until(
      'one',
      'its silence',
      (shown) => shown.reading?.committedPages === null && shown.currentPages !== null,
    );
    assert.ok((silent.currentPages ?? 0) >= (currentPages ?? 0));
    await guest.signalGuestAgent('CONT');
    await atFloor();
  });

  test('leaves no file open in the guest when it ends', async () => {
    await host.end('SIGTERM');
    assert.equal(await openFiles(), 0);
  });
});
