/**
 * The original job on the real thing: the daemon inside a real Xen guest, on the kernel's own balloon. It boots Xen under
 * emulation, which takes minutes, and so it is asked for by name after `npm run lab:setup`.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { XenLab, type XenGuest } from '../../lab/xen/lab.js';
import { replayJournal } from '../../src/cli/commands/replay.js';
import { REPOSITORY } from '../support/paths.js';

const skip =
  process.env['SELFBALLOON_TEST_XEN'] === undefined &&
  'boots a real Xen: run `npm run lab:setup`, then set SELFBALLOON_TEST_XEN=1';

const PROGRAM = 'node /app/node_modules/selfballoon/dist/src/cli/main.js';
const GUEST_KIB = 512 * 1024;
const LOOKS_MAX = 40;

const MAKE_STRIPES = `
for n in 0 1 2 3; do echo 128M > /sys/block/zram$n/disksize; mkswap /dev/zram$n >/dev/null; done
cat > /run/selfballoon.toml <<'END'
[overflow]
devices = ["/dev/zram0", "/dev/zram1", "/dev/zram2", "/dev/zram3"]
reserve_mib = 32
END`;
const RUN = `${PROGRAM} run --config /run/selfballoon.toml --journal /run/journal --no-table >/run/log 2>&1 & echo $! > /run/pid`;

describe('inside a real Xen guest', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'selfballoon-lab-test-'));
  let lab: XenLab;
  let guest: XenGuest;

  before(async () => {
    lab = await XenLab.boot(REPOSITORY);
    guest = await lab.createGuest({ name: 'original', memoryMib: 512 });
    await guest.run(MAKE_STRIPES);
  });
  after(async () => {
    await lab.close();
    rmSync(folder, { recursive: true });
  });

  it('refuses to start without an overflow tier', async () => {
    const { code, output } = await guest.tryRun(`${PROGRAM} run --no-table`);
    assert.equal(code, 1);
    assert.match(output, /not started: there is no overflow tier/);
  });

  it('gives idle memory back, as Xen itself says', async () => {
    await guest.run(`(${RUN})`);
    let held = GUEST_KIB;
    for (let look = 0; look < LOOKS_MAX && held > GUEST_KIB / 2; look += 1) {
      await sleep(3_000);
      held = await guest.heldKib();
    }
    assert.ok(held <= GUEST_KIB / 2, `${held} KiB are held; the daemon said:\n${await guest.run('cat /run/log')}`);
    assert.equal((await guest.run('dmesg | grep -ci "killed process"; true')).trim(), '0');
  });

  it('gives everything back when it ends, and its journal replays to identical decisions here', async () => {
    await guest.run('kill -INT $(cat /run/pid); while kill -0 $(cat /run/pid) 2>/dev/null; do sleep 0.2; done');
    assert.match(await guest.run('cat /run/log'), /gave everything back/);
    await sleep(3_000);
    assert.equal(await guest.heldKib(), GUEST_KIB);
    const journal = join(folder, 'journal');
    writeFileSync(journal, await guest.run('cat /run/journal'));
    const said: string[] = [];
    assert.equal(await replayJournal(journal, (line) => said.push(line)), true, said.join('\n'));
  });
});
