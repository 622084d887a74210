/** Protects a guest whose daemon dies: the next one looks before it asks, and what was taken can be given back without any. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { waitUntilItAnswers, type Daemon } from '../../../lab/xen/daemon.js';
import type { XenGuest } from '../../../lab/xen/guest.js';
import { waitFor } from '../../../lab/xen/shell.js';
import { readTunable, selfballoon } from './commands.js';
import { assertReplays, lastRun, readingsIn, runsIn, targetsIn, valueOf, type Run } from './journal.js';
import { stopAction } from './stop-action.js';
import { overflowSection, pressureSection, tunablesSection, type Stripes } from './stripes.js';
import { BALLOON, heldPages, waitForHeld } from './views.js';
import type { XenWorld } from './world.js';

const GUEST_MIB = 512;
const WHOLE_PAGES = GUEST_MIB * 256;
const NEAR_PAGES = 4;
const LIMIT_MS = 200_000;
const WRITE_TRIES = 5;

/** To be called in the suite of a guest of 512 MiB without a daemon, whose stripes are made. */
export function killed(world: XenWorld, guest: () => XenGuest, stripes: Stripes): void {
  describe('whose daemon is killed', { concurrency: 1 }, () => {
    const config = [
      overflowSection(stripes, 32),
      tunablesSection({ selfballoon_interval: 1, selfballoon_downhysteresis: 16 }),
      pressureSection(false),
    ].join('');
    /** The daemons of this suite share one journal, as they would on one machine. */
    const start = (): Promise<Daemon> => guest().start({ name: 'killed', config });
    let daemon: Daemon;
    /** What the guest held when each of the later daemons was started. */
    const heldAtStart: number[] = [];

    /** Waits until the balloon is still, and starts the next one. */
    async function startAgain(): Promise<void> {
      await daemon.waitForEnd();
      let held = await heldPages(guest());
      await waitFor({ what: 'a balloon at rest', limitMs: LIMIT_MS, pauseMs: 1_000 }, async () => {
        const before = held;
        held = await heldPages(guest());
        return held === before ? true : null;
      });
      heldAtStart.push(held);
      daemon = await start();
      await waitUntilItAnswers(daemon);
    }

    const untilBelow = (pages: number): Promise<void> => waitForHeld(guest(), 'lt', pages, LIMIT_MS);

    world.it('right after its start leaves a guest that the next one takes over', async () => {
      daemon = await start();
      await waitUntilItAnswers(daemon);
      await daemon.signal('KILL');
      await startAgain();
    });

    world.it(
      'in the middle of shrinking leaves the guest where it is, and the next one goes on from there',
      async () => {
        await untilBelow(WHOLE_PAGES - 10_000);
        await daemon.signal('KILL');
        await startAgain();
        assert.ok((heldAtStart.at(-1) ?? 0) < WHOLE_PAGES, 'nothing was taken yet when it was killed');
      },
    );

    world.it('while it writes a target does so too', async () => {
      // No command is run while waiting, so that the daemon is met right after its write.
      const meet = `read t < ${BALLOON}/target_kb; n=$t; while [ "$n" = "$t" ]; do read n < ${BALLOON}/target_kb; done`;
      for (let tries = 0; tries < WRITE_TRIES; tries += 1) {
        await guest().run(`${meet}; kill -KILL ${daemon.pid}`, LIMIT_MS);
        const run = runsIn(await daemon.journal()).at(-1);
        assert.ok(run !== undefined);
        await startAgain();
        if (hasOpenTarget(run)) return;
        // It was quicker: its answer is in the journal already. Away from the floor, so that there is a next write.
        await selfballoon(guest(), `release --config ${daemon.config}`);
        await daemon.signal('KILL');
        await startAgain();
      }
      assert.fail(`in ${WRITE_TRIES} tries it was never met at its write`);
    });

    world.it('is followed by one that reads the real state before it asks for anything', async () => {
      // The last one has only just begun.
      const journal = await waitFor({ what: 'a reading', limitMs: LIMIT_MS, pauseMs: 2_000 }, async () => {
        const text = await daemon.journal();
        return lastRun(text).steps.some((step) => readingsIn(step).length > 0) ? text : null;
      });
      const [, ...later] = runsIn(journal);
      assert.equal(later.length, heldAtStart.length);
      for (const [n, run] of later.entries()) {
        const firstAsked = run.steps.flatMap(({ actions }) => actions).find(({ kind }) => kind !== 'tell');
        assert.equal(firstAsked?.kind, 'look');
        const firstReading = run.steps.findIndex((step) => readingsIn(step).length > 0);
        const firstTarget = run.steps.findIndex((step) => targetsIn(step).length > 0);
        assert.ok(firstReading >= 0, 'it never looked');
        assert.ok(firstTarget === -1 || firstReading <= firstTarget, 'it asked before it had looked');
        const reading = run.steps.flatMap(readingsIn)[0];
        assert.ok(reading !== undefined);
        assert.ok(Math.abs(valueOf(reading.current) - (heldAtStart[n] ?? NaN)) <= NEAR_PAGES);
        assert.equal(valueOf(reading.maximum), WHOLE_PAGES);
      }
      await assertReplays(journal);
    });

    world.it("leaves the unit's stop action to give everything back", async () => {
      await untilBelow(WHOLE_PAGES - 10_000);
      await daemon.signal('KILL');
      await daemon.waitForEnd();
      assert.match(await guest().run(stopAction()), /give everything back/);
      await untilWhole();
    });

    world.it('or is alive, and gives everything back on release, and asks for nothing more', async () => {
      daemon = await start();
      await waitUntilItAnswers(daemon);
      await untilBelow(WHOLE_PAGES - 5_000);
      assert.match(await selfballoon(guest(), 'release'), /gives everything back/);
      await untilWhole();
      assert.equal(await readTunable(guest(), 'selfballooning'), '0');
      await daemon.signal('INT');
      await daemon.waitForEnd();
      assert.equal(await heldPages(guest()), WHOLE_PAGES);
    });

    const untilWhole = (): Promise<void> => waitForHeld(guest(), 'eq', WHOLE_PAGES, LIMIT_MS);
  });
}

/** Whether a target was asked for last whose answer never came. */
function hasOpenTarget({ steps }: Run): boolean {
  const asked = steps.flatMap(targetsIn).at(-1);
  const answered = steps.flatMap(({ events }) =>
    events.flatMap((event) => (event.kind === 'action-done' || event.kind === 'action-failed' ? [event.id] : [])),
  );
  return asked !== undefined && !answered.includes(asked.id);
}
