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
const MUTE_MIB = 128;
const MUTE_MAX_KIB = (MUTE_MIB / 2) * 1024;

export interface StuckGuestsOptions {
  /** The daemon in dom0. */
  readonly host: () => Daemon;
  /** One of its guests, which obeys, and what is more than it needs. */
  readonly guest: () => XenGuest;
  readonly givenMib: number;
}

export function stuckGuests(world: XenWorld, { host, guest, givenMib }: StuckGuestsOptions): void {
  describe('a guest that does not move', { concurrency: 1 }, () => {
    world.it('though it did before is called stuck at the first look after 4 s, and the others go on', async (t) => {
      const { name, domain } = guest();
      // The word comes once, 4 s after it has moved last, and that may be before whoever pauses it is done.
      const before = (await tellsOf(`xen-host/${name}:${domain}`)).length;
      // What it was asked for stands, and nothing moves.
      await pauseOnItsWay({ dom0: world.dom0(), guest: guest(), givenMib });
      try {
        await isNamedInTime(t, `xen-host/${name}:${domain}`, before);
        await othersGoOn(`xen-host/${name}:${domain}`);
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
        await othersGoOn(`xen-host/mute:${domain}`);
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

    /** Guests besides `id` are decided about as before. */
    async function othersGoOn(id: string): Promise<void> {
      const count = async (): Promise<number> =>
        lastRun(await host().journal())
          .steps.flatMap(({ decisions }) => decisions)
          .filter(({ guest: one }) => one !== id && !one.includes('Domain-0')).length;
      const before = await count();
      await waitFor({ what: 'decisions about the others', limitMs: 60_000 }, async () =>
        (await count()) >= before + 2 ? true : null,
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
