/**
 * Protects a guest from being worse off for having been made small: a process that needs far more than is left gets it.
 * Here the law answers alone; what the watch between two rounds does is another suite's business.
 */
import assert from 'node:assert/strict';
import { after, describe } from 'node:test';
import { endDaemon, waitUntilItAnswers, type Daemon } from '../../../lab/xen/daemon.js';
import type { XenGuest } from '../../../lab/xen/guest.js';
import { waitFor } from '../../../lab/xen/shell.js';
import { PAGES_PER_MIB } from '../../../src/units.js';
import { readTunable, writeTunable } from './commands.js';
import { startHog, type Hog } from './hog.js';
import { assertReplays, decidedIn, inputsOf, lastRun, valueOf, type Decided } from './journal.js';
import { goalOf } from './specification.js';
import { overflowSection, pressureSection, type Stripes } from './stripes.js';
import { heldPages, oomKills, waitForHeld } from './views.js';
import type { XenWorld } from './world.js';

const SMALL_PAGES = 200 * PAGES_PER_MIB;
const NEED_MIB = 300;
const NEAR_PAGES = 4;

/** To be called in the suite of a guest of 512 MiB booted with `noselfshrink`, without a daemon, whose stripes are made. */
export function demand(world: XenWorld, guest: () => XenGuest, stripes: Stripes): void {
  describe('that was made small', { concurrency: 1 }, () => {
    let daemon: Daemon | null = null;
    const running = (): Daemon => {
      assert.ok(daemon !== null, 'the daemon was not started');
      return daemon;
    };
    let hog: Hog;
    let began: number;
    let decided: readonly Decided[];

    world.it("has the controllers that its kernel's command line asks for", async () => {
      daemon = await guest().start({ name: 'demand', config: overflowSection(stripes, 32) + pressureSection(false) });
      await waitUntilItAnswers(daemon);
      assert.equal(await readTunable(guest(), 'selfballooning'), '1');
      assert.equal(await readTunable(guest(), 'frontswap_selfshrinking'), '0');
    });

    world.it('becomes small with other tunables, which are then put back to their defaults', async () => {
      await setAll({ selfballoon_downhysteresis: 1, selfballoon_interval: 1 });
      await waitForHeld(guest(), 'lt', SMALL_PAGES, 200_000);
      await setAll({ selfballoon_downhysteresis: 8, selfballoon_interval: 5 });
      assert.equal(await readTunable(guest(), 'selfballoon_uphysteresis'), '1');
    });

    world.it('lets a process of 300 MiB finish, and keeps what it wrote', async () => {
      assert.ok((await heldPages(guest())) < SMALL_PAGES, 'it has grown again before it was asked to');
      hog = await startHog(guest(), { name: 'hog', mib: NEED_MIB, stepMib: 20, everyMs: 500 });
      began = (await hog.waitForLine('took')).at;
      await hog.waitForLine('holds');
      assert.equal(await hog.check(), 0);
      await hog.signal('TERM');
      await hog.waitForEnd();
      assert.equal((await hog.lines()).at(-1)?.kind, 'checked');
      assert.equal(await oomKills(guest()), 0);
      assert.doesNotMatch(await guest().kernelLog(), /killed process|out of memory/i);
    });

    world.it('gave way at the first step that came after the demand, by all that was needed', async () => {
      const journal = await running().journal();
      await assertReplays(journal);
      decided = decidedIn(lastRun(journal));
      const index = decided.findIndex(({ step }) => step.at >= began);
      const [before, first] = [decided[index - 1], decided[index]];
      assert.ok(before !== undefined && first !== undefined);
      const inputs = inputsOf(first);
      assert.ok(inputs.committedPages > valueOf(before.reading.committed), 'the demand cannot be seen in the reading');
      const goal = goalOf(inputs) + inputs.balloonCurrentPages - inputs.totalramPages;
      assert.ok(goal > inputs.balloonCurrentPages, 'the goal is not above what the guest holds');
      // An up-hysteresis of 1: no damping, all the way to the goal.
      assert.equal(first.decision.target, Math.min(goal, valueOf(first.reading.maximum)));
    });

    world.it('held what it was given by the next interval, step for step', () => {
      const index = decided.findIndex(({ step }) => step.at >= began);
      const grown = decided
        .slice(index)
        .filter(({ decision, reading }) => (decision.target ?? 0) > valueOf(reading.current));
      // What the last one came to is not known.
      const followed = grown.filter((one) => decided.indexOf(one) + 1 < decided.length);
      assert.ok(followed.length > 0);
      for (const one of followed) {
        const next = decided[decided.indexOf(one) + 1];
        assert.ok(next !== undefined);
        const short = (one.decision.target ?? 0) - valueOf(next.reading.current);
        assert.ok(short <= NEAR_PAGES, `${short} pages were still missing an interval later`);
      }
      return Promise.resolve();
    });

    after(async () => {
      if (daemon !== null) await endDaemon(daemon);
    });

    async function setAll(values: Readonly<Record<string, number>>): Promise<void> {
      const wanted = Object.entries(values);
      for (const [name, value] of wanted) await writeTunable(guest(), name, value);
      await waitFor({ what: JSON.stringify(values), limitMs: 60_000, pauseMs: 2_000 }, async () => {
        const held = decidedIn(lastRun(await running().journal())).at(-1)?.tunables;
        return wanted.every(([name, value]) => held?.[name] === value) ? true : null;
      });
    }
  });
}
