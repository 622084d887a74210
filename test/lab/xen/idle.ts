/** The original job: a guest that does nothing gives back all that it may, by the law, and Xen has the memory again. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { endDaemon, waitUntilItAnswers, type Daemon } from '../../../lab/xen/daemon.js';
import type { XenGuest } from '../../../lab/xen/guest.js';
import { waitFor } from '../../../lab/xen/shell.js';
import { PAGES_PER_MIB } from '../../../src/units.js';
import { assertReplays, decidedIn, inputsOf, isLawful, lastRun, targetsIn, valueOf, type Decided } from './journal.js';
import { balloonTargetOf, floorOf, zonesOf } from './specification.js';
import { overflowSection, pressureSection, tunablesSection, type Stripes } from './stripes.js';
import { heldPages, oomKills } from './views.js';
import type { XenWorld } from './world.js';

const GUEST_MIB = 512;
/** The driver stops a page or so from its target. */
const NEAR_PAGES = 4;
const SHRINK_LIMIT_MS = 400_000;
/** The floor moves no more: so many looks without a new target. */
const STILL_MS = 5_000;

/** To be called in the suite of a guest of 512 MiB without a daemon, whose stripes are made. */
export function idle(world: XenWorld, guest: () => XenGuest, stripes: Stripes): void {
  describe('that is idle', { concurrency: 1 }, () => {
    let daemon: Daemon;
    let decided: readonly Decided[];
    let journal: string;
    let zoneinfo: string;

    world.it('gives memory back until nothing more may go, and Xen says so too', async () => {
      const config = [
        overflowSection(stripes, 32),
        tunablesSection({ selfballoon_interval: 1 }),
        pressureSection(false),
      ];
      daemon = await guest().start({ name: 'idle', config: config.join('') });
      await waitUntilItAnswers(daemon);
      let held = await heldPages(guest());
      await waitFor({ what: 'the end of shrinking', limitMs: SHRINK_LIMIT_MS, pauseMs: STILL_MS }, async () => {
        const before = held;
        held = await heldPages(guest());
        return held === before && held < (GUEST_MIB * PAGES_PER_MIB) / 2 ? true : null;
      });
      zoneinfo = await guest().run('cat /proc/zoneinfo');
      journal = await daemon.journal();
      decided = decidedIn(lastRun(journal));
      const inXen = await guest().heldKib();
      assert.ok(Math.abs(inXen - held * 4) < 2 * 1024, `the guest holds ${held} pages, Xen says ${inXen} KiB`);
    });

    world.it('comes to rest on the floor that the specification gives for its own zones', () => {
      const last = decided.findLast(isLawful);
      assert.ok(last !== undefined);
      const inputs = inputsOf(last);
      const zones = zonesOf(zoneinfo);
      assert.deepEqual(zones, { reserve: inputs.totalreservePages, maxPfn: inputs.maxPfn });
      const floor = floorOf({ ...inputs, totalreservePages: zones.reserve, maxPfn: zones.maxPfn });
      assert.ok(Math.abs(inputs.totalramPages - floor) <= NEAR_PAGES, `${inputs.totalramPages} is not ${floor}`);
      assert.equal(last.decision.target, floor + inputs.balloonCurrentPages - inputs.totalramPages);
      return Promise.resolve();
    });

    world.it('was told at each step what the specification says for the numbers in the journal', (t) => {
      const lawful = decided.filter(isLawful);
      t.diagnostic(`${lawful.length} of ${decided.length} decisions by the rule`);
      assert.ok(lawful.length > 20 && lawful.length > 0.8 * decided.length);
      let targets = 0;
      for (const one of lawful) {
        const expected = Math.min(balloonTargetOf(inputsOf(one)), valueOf(one.reading.maximum));
        assert.equal(one.decision.target, expected);
        for (const { target } of targetsIn(one.step)) {
          assert.equal(target, expected);
          targets += 1;
        }
      }
      assert.ok(targets > 20, `only ${targets} targets`);
      return Promise.resolve();
    });

    world.it('leaves a journal that replays to the same decisions on another machine', () => assertReplays(journal));

    world.it('lost no process, and three quarters of what it gave and more are free or held by others', async (t) => {
      assert.equal(await oomKills(guest()), 0);
      const released = GUEST_MIB - (await guest().heldKib()) / 1024;
      // The memory of another suite's guest that has just ended is nobody's until Xen has cleaned it, which it does when it is idle.
      const lost = async (): Promise<number> => (await world.dom0().unaccountedMib()) - world.ownMib();
      const what = `all but a quarter of ${released} MiB to be held or free, and no more than there was,`;
      const left = await waitFor({ what, limitMs: 120_000, pauseMs: 2_000 }, async () => {
        const now = await lost();
        return Math.abs(now) < released / 4 ? now : null;
      });
      t.diagnostic(`of ${released} MiB ${left} are nobody's; Xen had ${world.ownMib()} for itself at first`);
    });

    world.it('gives everything back when the daemon is told to end', async () => {
      await endDaemon(daemon);
      assert.match(await daemon.log(), /gave everything back/);
      await waitFor({ what: 'the whole guest', limitMs: 60_000 }, async () =>
        (await guest().heldKib()) === GUEST_MIB * 1024 ? true : null,
      );
    });
  });
}
