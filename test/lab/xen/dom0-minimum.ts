/**
 * Protects dom0, where it is driven: it gives memory like a guest, but never what its administrator wants it to keep; through whichever of
 * Xen's two ways its host's memory is seen.
 */
import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';
import { endDaemon, waitUntilItAnswers, type Daemon } from '../../../lab/xen/daemon.js';
import { waitFor } from '../../../lab/xen/shell.js';
import type { GuestDecision } from '../../../src/control/actions.js';
import { PAGES_PER_MIB } from '../../../src/units.js';
import { lastRun, targetsIn } from './journal.js';
import { pressureSection, tunablesSection } from './stripes.js';
import type { XenWorld } from './world.js';

const DOM0 = 0;
const KIB = 1024;
const SWAP_MIB = 128;
/** One after the other, so that it is seen to be the minimum that holds dom0 where it is. */
const TRIALS = [
  { minimumMib: 740, sight: 'libxenstat', intervalS: 1 },
  // A look through three processes is believed for an interval and a second.
  { minimumMib: 700, sight: 'xl', intervalS: 3 },
] as const;

type Trial = (typeof TRIALS)[number];

const configOf = ({ minimumMib, sight, intervalS }: Trial): string =>
  `${tunablesSection({ selfballoon_interval: intervalS, selfballoon_downhysteresis: 1 })}[xen_host]\nsight = "${sight}"\ndrive_dom0 = true\ndom0_min_mib = ${minimumMib}\n${pressureSection(false)}`;

/** To be called where no other daemon drives dom0's host; guests that do not report are left alone. */
export function dom0Minimum(world: XenWorld): void {
  describe('the initial domain where it is driven', { concurrency: 1 }, () => {
    let wholeKib = 0;

    before(async () => {
      if (!world.isBooted()) return;
      wholeKib = await world.dom0().heldKib(DOM0);
      // Without any swap it is never asked for memory.
      const swap = '/run/dom0.swap';
      await world
        .dom0()
        .run(`truncate -s ${SWAP_MIB}M ${swap} && d=$(losetup -f --show ${swap}) && mkswap $d >/dev/null && swapon $d`);
    });

    for (const trial of TRIALS) {
      const { minimumMib: minimum, sight } = trial;
      const name = `gives all but the ${minimum} MiB that it must keep, seen through ${sight}, and gets everything back`;
      world.it(name, async (t) => {
        const daemon = await world.dom0().start({
          name: `dom0-${minimum}`,
          config: configOf(trial),
          flags: ['--hypervisor', 'xen-host'],
        });
        await waitUntilItAnswers(daemon);
        assert.match(await daemon.log(), new RegExp(`seen through .*${sight}`));
        await restsAt(daemon, minimum);
        const { steps } = lastRun(await daemon.journal());
        // On a busy machine a look through three processes may come too late to be decided by: then it is held where it is.
        const goal = decisionsIn(steps).findLast((decision) => decision.goal !== null)?.goal ?? NaN;
        t.diagnostic(`by its rule it would have ${Math.round(goal / PAGES_PER_MIB)} MiB`);
        assert.ok(goal < minimum * PAGES_PER_MIB, 'its rule would not take it so far anyway');
        const targets = steps.flatMap(targetsIn).map(({ target }) => target);
        assert.ok(targets.length > 0);
        assert.deepEqual(
          targets.filter((target) => target < minimum * PAGES_PER_MIB),
          [],
        );
        await endDaemon(daemon);
        await waitFor({ what: 'all of dom0', limitMs: 60_000 }, async () =>
          (await world.dom0().heldKib(DOM0)) === wholeKib ? true : null,
        );
      });
    }

    after(async () => {
      // What was swapped would stay in dom0's memory, for its files in /run are there.
      const device = '$(losetup -n -O NAME -j /run/dom0.swap)';
      if (!world.isBooted()) return;
      await world.dom0().run(`swapoff ${device} && losetup -d ${device} && rm /run/dom0.swap`);
    });

    /** Waits until dom0 is at its minimum and was left there by a decision more. */
    async function restsAt(daemon: Daemon, minimumMib: number): Promise<void> {
      await waitFor({ what: `a dom0 of ${minimumMib} MiB`, limitMs: 120_000 }, async () =>
        (await world.dom0().heldKib(DOM0)) <= minimumMib * KIB ? true : null,
      );
      const count = async (): Promise<number> => decisionsIn(lastRun(await daemon.journal()).steps).length;
      const seen = await count();
      await waitFor({ what: 'two more decisions', limitMs: 60_000 }, async () =>
        (await count()) > seen + 1 ? true : null,
      );
      assert.equal(await world.dom0().heldKib(DOM0), minimumMib * KIB);
    }
  });
}

/** About dom0. Guests may be there too. */
const decisionsIn = (steps: readonly { readonly decisions: readonly GuestDecision[] }[]): readonly GuestDecision[] =>
  steps.flatMap(({ decisions }) => decisions.filter(({ guest }) => guest.includes('Domain-0')));
