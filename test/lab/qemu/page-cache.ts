/**
 * A guest that lives from its page cache: it reads 300 MiB of files again and again, and its processes are promised next to nothing.
 * Protects that it keeps its cache, and shows that the rule without its guard takes it away.
 */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DATA_FILE, makeDataDisk } from '../../../lab/qemu/data-disk.js';
import type { QemuGuest } from '../../../lab/qemu/guest.js';
import type { LabGuest } from '../../../lab/qemu/lab-guest.js';
import { waitFor } from '../../../lab/xen/shell.js';
import { PAGES_PER_MIB } from '../../../src/units.js';
import { startBareLoop } from './bare-loop.js';
import type { Host } from './host.js';
import { qemuSuite, type Beginning, type MakeSuite } from './suite.js';

const NAME = 'reader';
const MEMORY_MIB = 768;
const FILE_MIB = 300;
const WORKING_SET_PAGES = FILE_MIB * PAGES_PER_MIB;
/** What is known not to be felt: 0.2 % of the working set a minute. */
const REFAULTS_PER_MINUTE_MAX = WORKING_SET_PAGES * 0.002;
/** One reading of everything each second leaves the emulator's processor some time for others. */
const READ_EVERY_MS = 1_000;
/** A guest at rest takes and gives a few pages. */
const NEAR_PAGES = 256;
/** As long as the product's first finding holds at least, less what is measured. */
const STILL_MS = 10_000;
const SETTLE_LIMIT_MS = 180_000;
const MEASURED_MS = 60_000;
const BARE_MEASURED_MS = 12_000;
const MINUTE_MS = 60_000;

interface Reader<Guest extends LabGuest> {
  readonly guest: Guest;
  readonly host: Host;
}

/** Boots a guest that reads its files from then on, and has done so once. */
async function bootReader<Guest extends LabGuest>(beginning: Beginning<Guest>): Promise<Reader<Guest>> {
  const { folder, boot, hostOf } = beginning;
  const data = await makeDataDisk(folder, FILE_MIB);
  const guest = await boot({ name: NAME, memoryMib: MEMORY_MIB, hasGuestAgent: true, data });
  const reading = await guest.load.cache({ mib: FILE_MIB, file: DATA_FILE, everyMs: READ_EVERY_MS });
  await reading.until('read');
  return { guest, host: hostOf([guest]) };
}

const refaults = async (guest: LabGuest): Promise<number> => (await guest.load.look()).count('workingset_refault_file');

async function refaultsPerMinute(guest: LabGuest, overMs: number): Promise<number> {
  const [before, start] = [await refaults(guest), performance.now()];
  await sleep(overMs);
  return ((await refaults(guest)) - before) * (MINUTE_MS / (performance.now() - start));
}

/** To be called where suites are described. */
export function pageCache<Guest extends LabGuest>(makeSuite: MakeSuite<Guest>): void {
  describe('a guest that lives from its page cache', { concurrency: 1 }, () => {
    let reader: Reader<Guest>;
    const { test } = makeSuite(async (beginning) => {
      reader = await bootReader(beginning);
    });

    test('gives what it does not need, and keeps its cache', async (t) => {
      const { guest, host } = reader;
      const atStart = await refaults(guest);
      host.start();
      const held = await settled(host);
      const found = (await refaults(guest)) - atStart;
      const perMinute = await refaultsPerMinute(guest, MEASURED_MS);
      t.diagnostic(
        `holds ${Math.round(held / PAGES_PER_MIB)} of ${MEMORY_MIB} MiB; ${found} refaults until then, ` +
          `${perMinute.toFixed(1)} a minute from then on (0.2 % are ${Math.round(REFAULTS_PER_MINUTE_MAX)})`,
      );
      assert.ok(held < (MEMORY_MIB - 100) * PAGES_PER_MIB, 'it gave next to nothing');
      assert.ok(perMinute <= REFAULTS_PER_MINUTE_MAX, `${perMinute} refaults a minute`);
      await host.until(NAME, 'word of its page cache', ({ reason }) => reason?.code === 'cache-in-use');
    });
  });
}

/** The same guest under the rule alone. To be called where suites are described. */
export function cacheWithoutGuard(): void {
  describe('a guest that lives from its page cache, without the guard', { concurrency: 1 }, () => {
    let guest: QemuGuest;
    const { test } = qemuSuite(async (beginning) => {
      ({ guest } = await bootReader(beginning));
    });

    test('loses it to the rule alone', async (t) => {
      const bare = startBareLoop([guest.monitor], { selfballoon_interval: 1, selfballoon_downhysteresis: 2 });
      try {
        // How long it takes the rule to its floor is nobody's business here.
        await waitFor({ what: 'a guest that has lost its cache', limitMs: SETTLE_LIMIT_MS }, async () => {
          const perMinute = await refaultsPerMinute(guest, BARE_MEASURED_MS);
          t.diagnostic(
            `${Math.round(perMinute)} refaults a minute, ${(perMinute / WORKING_SET_PAGES).toFixed(1)} times all of it`,
          );
          return perMinute > 50 * REFAULTS_PER_MINUTE_MAX ? true : null;
        });
      } finally {
        await bare.close();
      }
    });
  });
}

/**
 * What it holds once that has been the same for a while, in pages. Between two looks of which one does not tell what is committed nothing is
 * taken, whatever the rule would: that is no rest.
 */
async function settled(host: Host): Promise<number> {
  let [held, stillMs, lastMs] = [NaN, 0, NaN];
  await waitFor({ what: 'a guest at rest', limitMs: SETTLE_LIMIT_MS }, async () => {
    const { currentPages = null, reading = null } = (await host.shown(NAME)) ?? {};
    if (reading === null || currentPages === null || reading.committedPages === null) {
      lastMs = NaN;
      return null;
    }
    const isStill = Math.abs(currentPages - held) <= NEAR_PAGES;
    if (!isStill) [held, stillMs] = [currentPages, 0];
    else if (!Number.isNaN(lastMs)) stillMs += reading.atMs - lastMs;
    lastMs = reading.atMs;
    return stillMs >= STILL_MS ? true : null;
  });
  return held;
}
