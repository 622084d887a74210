/** The tunables where an administrator of the old driver looks for them: by command and by attribute file. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import type { Daemon } from '../../../lab/xen/daemon.js';
import type { XenGuest } from '../../../lab/xen/guest.js';
import { waitFor } from '../../../lab/xen/shell.js';
import { readTunable, selfballoon, writeTunable } from './commands.js';
import { decidedIn, inputsOf, lastRun, valueOf } from './journal.js';
import { balloonTargetOf } from './specification.js';
import type { XenWorld } from './world.js';

/** To be called in the suite of a guest in which a daemon runs with the defaults. */
export function tunables(world: XenWorld, guest: () => XenGuest, daemon: () => Daemon): void {
  describe('the tunables', { concurrency: 1 }, () => {
    world.it('are the defaults at the start', async () => {
      for (const [name, value] of [
        ['selfballoon_interval', 5],
        ['selfballoon_downhysteresis', 8],
        ['selfballoon_min_usable_mb', 0],
        ['frontswap_inertia', 3],
      ] as const)
        assert.equal(await readTunable(guest(), name), String(value));
    });

    world.it('are set by command, and shown by the file', async () => {
      await selfballoon(guest(), 'set selfballoon_downhysteresis 3');
      await untilFileSays('selfballoon_downhysteresis', '3');
    });

    world.it('are set by writing the file, and shown by command', async () => {
      await writeTunable(guest(), 'selfballoon_min_usable_mb', 16);
      await waitFor({ what: 'the value written to the file', limitMs: 60_000 }, async () =>
        (await selfballoon(guest(), 'get selfballoon_min_usable_mb')) === '16\n' ? true : null,
      );
    });

    world.it('refuse what is no number, by command with a sentence and in the file by going back', async () => {
      await assert.rejects(selfballoon(guest(), 'set selfballoon_downhysteresis 0x10'), /ended with 1: .*0x10/);
      await writeTunable(guest(), 'selfballoon_downhysteresis', -1);
      await untilFileSays('selfballoon_downhysteresis', '3');
    });

    world.it('hold for the next decision', async () => {
      // By the rule: while the guest is under pressure, and for a while after, it has everything.
      const held = await waitFor({ what: 'a decision by the rule', limitMs: 400_000 }, async () => {
        const lawful = decidedIn(lastRun(await daemon().journal())).filter(
          ({ decision: { target, reason } }) => target !== null && reason.numbers['committed'] !== undefined,
        );
        return lawful.find(({ tunables: then }) => then['selfballoon_min_usable_mb'] === 16) ?? null;
      });
      assert.equal(held.tunables['selfballoon_downhysteresis'], 3);
      // By the specification, with what was written.
      assert.equal(held.decision.target, Math.min(balloonTargetOf(inputsOf(held)), valueOf(held.reading.maximum)));
    });

    async function untilFileSays(name: string, text: string): Promise<void> {
      await waitFor({ what: `${name} ${text} in its file`, limitMs: 60_000 }, async () =>
        (await readTunable(guest(), name)) === text ? true : null,
      );
    }
  });
}
