/** Protects a host from guests that do not do what they are asked for: they are named in time, and cost the others nothing. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { GUEST_KERNEL } from '../../../lab/xen/build-dom0.js';
import type { Daemon } from '../../../lab/xen/daemon.js';
import type { Dom0 } from '../../../lab/xen/dom0.js';
import type { XenGuest } from '../../../lab/xen/guest.js';
import { waitFor, writeText } from '../../../lab/xen/shell.js';
import { lastRun } from './journal.js';
import { pauseOnItsWay } from './shrinking.js';
import { stuckTellsOf, type Stuck } from './stuck.js';
import type { TestSpeaker, XenWorld } from './world.js';

/** As long a guest may stand still on its way. It is looked at once a second; a slow machine takes longer for a look. */
const STUCK_AFTER_MS = 4_000;
/** Reasons of decisions that nobody's report has a part in: they are made of guests in which nobody speaks, too. */
const UNTOLD: ReadonlySet<string> = new Set(['no-report', 'signal-unknown']);
const MUTE_MIB = 128;
const MUTE_MAX_KIB = (MUTE_MIB / 2) * 1024;

export interface StuckGuestsOptions {
  /** The daemon in dom0. */
  readonly host: () => Daemon;
  /** One of its guests, which obeys, and what is more than it needs. */
  readonly guest: () => XenGuest;
  readonly givenMib: number;
  /** Others of its guests, that report. */
  readonly others: () => readonly XenGuest[];
}

export function stuckGuests(world: XenWorld, { host, guest, givenMib, others }: StuckGuestsOptions): void {
  describe('a guest that does not move', { concurrency: 1 }, () => {
    world.it('though it did before is called stuck at the first look after 4 s, and the others go on', async (t) => {
      const { name, domain } = guest();
      // The word comes once, 4 s after it has moved last, and that may be before whoever pauses it is done.
      const before = (await tellsOf(`xen-host/${name}:${domain}`)).length;
      // What it was asked for stands, and nothing moves.
      await pauseOnItsWay({ dom0: world.dom0(), guest: guest(), givenMib });
      try {
        await isNamedInTime(t, `xen-host/${name}:${domain}`, before);
        await othersGoOn();
      } finally {
        // The tests after this one need it alive.
        await world.dom0().run(`xl unpause ${name}`);
      }
    });

    world.it('because it has no driver is called stuck just so, once its administrator wants it smaller', async (t) => {
      const dom0 = world.dom0();
      const domain = await createMute(dom0);
      try {
        await dom0.run(`xenstore-write /local/domain/${domain}/memory/dynamic-max ${MUTE_MAX_KIB}`);
        await isNamedInTime(t, `xen-host/mute:${domain}`, 0);
        await othersGoOn();
      } finally {
        await dom0.run('xl destroy mute');
      }
    });

    async function tellsOf(id: string): Promise<readonly Stuck[]> {
      return stuckTellsOf(lastRun(await host().journal()), id);
    }

    /** It was told of `before` times earlier. */
    async function isNamedInTime(t: TestSpeaker, id: string, before: number): Promise<void> {
      const stuck = await waitFor(
        { what: `a word on ${id}`, limitMs: 60_000 },
        async () => (await tellsOf(id))[before] ?? null,
      );
      t.diagnostic(`told ${Math.round(stuck.afterMs)} ms after it was last seen on its way`);
      assert.ok(stuck.afterMs >= STUCK_AFTER_MS && stuck.lookBeforeMs < STUCK_AFTER_MS, JSON.stringify(stuck));
    }

    /** What the others need is decided as before. */
    async function othersGoOn(): Promise<void> {
      const counts = async (): Promise<readonly number[]> => {
        const decisions = lastRun(await host().journal()).steps.flatMap((step) => step.decisions);
        return others().map(({ name, domain }) => {
          const id = `xen-host/${name}:${domain}`;
          return decisions.filter(({ guest: of, reason }) => of === id && !UNTOLD.has(reason.code)).length;
        });
      };
      const before = await counts();
      await waitFor({ what: 'two more decisions for each of the others', limitMs: 60_000 }, async () =>
        (await counts()).every((count, n) => count >= (before[n] ?? NaN) + 2) ? true : null,
      );
    }
  });
}

/** A guest that never runs: nobody in it does what xenstore says. Returns its domain number. */
async function createMute(dom0: Dom0): Promise<number> {
  const config = ['name="mute"', `memory=${MUTE_MIB}`, 'vcpus=1', `kernel="${GUEST_KERNEL}"`, 'on_crash="destroy"', ''];
  await writeText(dom0, '/tmp/mute.cfg', config.join('\n'));
  return Number(await dom0.run('xl create -q -p /tmp/mute.cfg && xl domid mute'));
}
