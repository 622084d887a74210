/**
 * A demand that is over before the next round: with the watch between two rounds it is met and nobody is killed, without the watch
 * it is not. The same guest and the same demand, shown both ways.
 */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { endDaemon, waitUntilItAnswers, type Daemon } from '../../../lab/xen/daemon.js';
import type { XenGuest } from '../../../lab/xen/guest.js';
import { waitFor } from '../../../lab/xen/shell.js';
import { writeTunable } from './commands.js';
import { startHog, type Hog } from './hog.js';
import { lastRun } from './journal.js';
import { makeStripes, overflowSection, pressureSection, tunablesSection } from './stripes.js';
import { oomKills, waitForHeld } from './views.js';
import type { XenWorld } from './world.js';

const GUEST_MIB = 512;
/** Small: swap must not be what saves the guest. */
const STRIPES = { count: 2, mib: 8 };
const HOG_MIB = 240;
/** Seconds between two rounds until the guest is small. */
const QUICK_S = 1;
/** No round comes while the demand lasts. */
const SLOW_S = 600;

interface Setting {
  readonly name: string;
  /** Seconds between two rounds. */
  readonly interval: number;
  readonly isWatched: boolean;
}

const configOf = ({ interval, isWatched }: Setting): string =>
  [tunablesSection({ selfballoon_interval: interval }), overflowSection(STRIPES, 0), pressureSection(isWatched)].join(
    '',
  );

/** In a guest of its own, which may not survive it. */
export function burst(world: XenWorld): void {
  describe('a guest whose demand is faster than a round', { concurrency: 1 }, () => {
    const options = { name: 'burst', memoryMib: GUEST_MIB, extra: ['noselfshrink'] };
    let kills = 0;
    const guest = world.guest(options, async (made) => {
      await makeStripes(made, STRIPES);
      await endThrashingByKilling(made);
      kills = await oomKills(made);
    });
    /** What a test before this one has left running. That of the last ends with its guest. */
    let last: Daemon | null = null;

    world.it('is met at once where memory is watched between two rounds; nobody is killed', async (t) => {
      const { daemon, hog } = await prepare({ name: 'watched', interval: SLOW_S, isWatched: true });
      const outcome = await demandAtOnce(hog);
      t.diagnostic(outcome.log.trim().split('\n').at(-1) ?? '');
      assert.equal(outcome.isWhole, true, outcome.log);
      assert.equal(await oomKills(guest()), kills);
      const began = Number(/"began","at":(\d+)/.exec(outcome.log)?.[1]);
      const alarms = lastRun(await daemon.journal()).steps.flatMap(({ at, events }) =>
        at >= began ? events.filter(({ kind }) => kind === 'guest-alarm') : [],
      );
      t.diagnostic(`first alarm: ${JSON.stringify(alarms[0])}`);
      // The kernel's own word, by its trigger; what is available may have been low besides.
      const stalls = alarms.filter((event) => event.kind === 'guest-alarm' && event.alarm.cause === 'stalled');
      assert.ok(stalls.length > 0, `the kernel told nothing between two rounds: ${JSON.stringify(alarms)}`);
      assert.match(await daemon.log(), /is under pressure/);
    });

    // Last of all: a guest that has run out of memory may not answer any more, and is destroyed after this.
    world.it('is not met where nobody looks between two rounds: somebody is killed, or gets no memory', async (t) => {
      const { hog } = await prepare({ name: 'unwatched', interval: SLOW_S, isWatched: false });
      const outcome = await demandAtOnce(hog);
      t.diagnostic(outcome.log.trim().split('\n').at(-1) ?? '');
      assert.equal(outcome.isWhole, false, 'the same demand was met without the watch as well');
      const killed = (await oomKills(guest())) - kills;
      assert.ok(killed > 0 || outcome.log.includes('allocation-failed'), outcome.log);
    });

    /** A small guest that is at rest, with slow rounds, and a process in it that waits for word to take all it can. */
    async function prepare(setting: Setting): Promise<{ readonly daemon: Daemon; readonly hog: Hog }> {
      if (last !== null) await endDaemon(last);
      const hog = await startHog(guest(), {
        name: `hog-${setting.name}`,
        mib: HOG_MIB,
        stepMib: 10,
        everyMs: 0,
        waits: true,
      });
      await hog.waitForLine('waits');
      const daemon = await guest().start({ name: setting.name, config: configOf({ ...setting, interval: QUICK_S }) });
      last = daemon;
      await shrink(guest(), daemon, setting);
      return { daemon, hog };
    }
  });
}

/**
 * Otherwise a guest that is far too small drops and reads back the pages of the programs that it runs, and gets nowhere for minutes
 * without killing anybody: Linux' thrashing prevention (admin-guide/mm/multigen_lru.rst) kills when the pages of the last second
 * do not fit.
 */
async function endThrashingByKilling(guest: XenGuest): Promise<void> {
  await guest.run('cd /sys/kernel/mm/lru_gen && echo y > enabled && echo 1000 > min_ttl_ms');
}

/** So small that the demand does not fit. */
const SMALL_PAGES = 0.5 * GUEST_MIB * 256;
/** By what Xen says. */
const isSmall = async (guest: XenGuest): Promise<boolean> => (await guest.heldKib()) < SMALL_PAGES * 4;
const SHRINK_TRIES = 5;

/**
 * Lets the daemon shrink the guest in quick rounds, and then slows it down to the setting's own. On a busy machine the guest may be made to
 * grow in between, by what was asked of it here or by a stall.
 */
async function shrink(guest: XenGuest, daemon: Daemon, { interval }: Setting): Promise<void> {
  await waitUntilItAnswers(daemon);
  // The daemon that looks after everybody else is the last to be killed, as its unit has it.
  await guest.run(`echo -900 > /proc/${daemon.pid}/oom_score_adj`);
  for (let tries = 0; tries < SHRINK_TRIES; tries += 1) {
    await writeTunable(guest, 'selfballoon_interval', QUICK_S);
    await waitForHeld(guest, 'lt', SMALL_PAGES, 300_000);
    await writeTunable(guest, 'selfballoon_interval', interval);
    if (await isSmall(guest)) return;
  }
  throw new Error(`${guest.name} has grown again before the demand, ${SHRINK_TRIES} times`);
}

interface Burst {
  /** It got all that it asked for, and found it intact. */
  readonly isWhole: boolean;
  readonly log: string;
}

/** The process takes far more than is left, as fast as it can. */
async function demandAtOnce(hog: Hog): Promise<Burst> {
  await hog.signal('USR1');
  // Whoever waits in the guest may be killed in place of the hog.
  await waitFor({ what: 'the end of the burst', limitMs: 300_000 }, () =>
    hog.waitForLog('"holds"|allocation-failed', 100_000).catch(() => null),
  );
  if (await hog.isRunning()) await hog.signal('TERM');
  await hog.waitForEnd();
  const log = await hog.log();
  return { isWhole: /"holds"/.test(log) && /"checked".*"damaged":0/.test(log), log };
}
