/** Protects guests from a fault of the daemon's own: what was taken from them is given back before it ends with the error. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { getLogger } from '@logtape/logtape';
import { openDaemon } from '../../src/cli/daemon/daemon.js';
import { DEFAULT_TUNABLES } from '../../src/control/tunables.js';
import { VirtualClock } from '../../src/sim/index.js';
import { millis } from '../../src/units.js';
import { loadText } from '../config/temporary-file.js';
import { FakeHypervisor, fakeGuest } from '../support/fake-hypervisor.js';

describe('a daemon whose loop fails', () => {
  it('gives everything back, and then ends with what went wrong', async (test) => {
    const folder = mkdtempSync(join(tmpdir(), 'selfballoon-fails-'));
    test.after(() => {
      rmSync(folder, { recursive: true });
    });
    const { config } = await loadText(test, `socket = ${JSON.stringify(join(folder, 'socket'))}`);
    const clock = new VirtualClock();
    const guest = fakeGuest();
    const hypervisor = new FakeHypervisor(new Map([['one', guest]]), () => clock.now());
    let isBroken = false;
    const daemon = await openDaemon({
      config,
      place: {
        clock,
        hypervisors: [hypervisor],
        hasFrontswap: false,
        tunables: DEFAULT_TUNABLES,
        isSimulated: true,
        keepTime: null,
        close: () => hypervisor.close(),
      },
      logger: getLogger('a test'),
      afterStep: () => {
        if (!isBroken) return;
        isBroken = false;
        throw new Error('a fault of ours');
      },
    });
    test.after(() => daemon.close());
    const whole = guest.total;
    const running = daemon.run(new AbortController().signal);
    const ended = assert.rejects(running, /a fault of ours/);
    await clock.advanceTo(millis(60_000));
    assert.ok(guest.total < whole, `${guest.total}`);
    isBroken = true;
    await clock.advanceTo(millis(90_000));
    await ended;
    assert.equal(guest.total, whole);
  });
});
