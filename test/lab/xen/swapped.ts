/** Self-shrinking on real swap stripes: pages come home by the law, whole, and never when memory is short. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { waitUntilItAnswers, type Daemon } from '../../../lab/xen/daemon.js';
import type { XenGuest } from '../../../lab/xen/guest.js';
import { startHog, type Hog } from './hog.js';
import { assertReplays, decidedIn, lastRun, runsIn } from './journal.js';
import { assertShrinksByLaw } from './shrink-law.js';
import { stopAction } from './stop-action.js';
import { makeStripes, overflowSection, tunablesSection } from './stripes.js';
import { oomKills, stripesInUse, swappedKib } from './views.js';
import type { XenWorld } from './world.js';

const HYSTERESIS = 4;
const INERTIA = 2;
const SWAPPED_MIB = 40;
const STRIPES = { count: 4, mib: 16 };
/** More than is left while the second hog holds its memory, and less than when it has ended. */
const RESERVE_MIB = 150;
const SECOND_HOG_MIB = 170;
/** Each asks for a quarter of what is swapped: enough of them to owe any stripe. */
const ASKED_TIMES = 8;
const LIMIT_MS = 300_000;
const EMPTYING_LIMIT_MS = 60_000;
/** Which is full and, unlike the last one, takes a while to be emptied. */
const FULL_STRIPE = '/dev/zram2';
/**
 * Kills the daemon while the tool empties a full stripe for it, by the shell's own means, so that it is met there. It is slowed down, and somebody
 * else is busy until the daemon is gone: a guest has one processor, and taking down what the daemon had takes it as long as a stripe.
 */
function killWhileEmptying(daemon: number): string {
  const look = [
    `read child rest < /proc/${daemon}/task/${daemon}/children`,
    'read name < /proc/$child/comm',
    'read words < /proc/$child/cmdline',
  ];
  return [
    `until [ "$name:$words" = "swapoff:swapoff${FULL_STRIPE}" ]; do { ${look.join('; ')}; } 2>/dev/null; done`,
    'renice -n 19 -p $child',
    `kill -KILL ${daemon}`,
    `while [ -e /proc/${daemon}/fd/0 ]; do :; done`,
  ].join('; ');
}

/** A guest whose size stays what it is: that is what its kernel's command line asks for. */
export const swappedGuest = (world: XenWorld): (() => XenGuest) =>
  world.guest({ name: 'swapped', memoryMib: 384, extra: ['noselfballooning'] }, (made) => makeStripes(made, STRIPES));

/** `guest` is a `swappedGuest`. */
export function swapped(world: XenWorld, guest: () => XenGuest): void {
  describe('memory in swap stripes', { concurrency: 1 }, () => {
    let daemon: Daemon;
    let hog: Hog;
    let second: Hog;

    world.it(
      "is refused where the kernel's command line wants no self-ballooning, and a flag no self-shrinking",
      async () => {
        await guest().run(`cat > /run/neither.toml <<'END'\n${overflowSection(STRIPES, RESERVE_MIB)}\nEND`);
        const { code, output } = await guest().tryRun(
          'selfballoon run --no-table --config /run/neither.toml --noselfshrink',
        );
        assert.equal(code, 1, output);
        assert.match(output, /neither self-ballooning nor self-shrinking is wanted/);
      },
    );

    const start = async (): Promise<Daemon> => {
      const config = tunablesSection({
        selfballoon_interval: 1,
        frontswap_hysteresis: HYSTERESIS,
        frontswap_inertia: INERTIA,
      });
      const started = await guest().start({ name: 'swapped', config: overflowSection(STRIPES, RESERVE_MIB) + config });
      await waitUntilItAnswers(started);
      return started;
    };
    const stripesOn = async (): Promise<number> => Number(await guest().run('tail -n +2 /proc/swaps | wc -l'));

    /** How often the law has asked for pages to come home so far. */
    const askedTimes = async (): Promise<number> =>
      decidedIn(lastRun(await daemon.journal())).filter(({ decision }) => decision.shrinkOverflowTo !== null).length;

    world.it('is filled from a process, under a daemon that only shrinks itself', async () => {
      daemon = await start();
      hog = await startHog(guest(), { name: 'hog', mib: 60, stepMib: 10, everyMs: 0, cgroup: 'swapped' });
      await hog.waitForLine('holds');
      assert.equal(await hog.check(), 0);
      second = await startHog(guest(), { name: 'second', mib: SECOND_HOG_MIB, stepMib: 10, everyMs: 0 });
      await second.waitForLine('holds');
      // The kernel says EAGAIN when it could not push out quite as much.
      await guest().run(`echo ${SWAPPED_MIB}M > /sys/fs/cgroup/swapped/memory.reclaim || true`);
      const swappedOut = await swappedKib(guest());
      assert.ok(swappedOut > 2 * STRIPES.mib * 1024, `${swappedOut} KiB: the kernel has swapped too little out`);
    });

    world.it('stays where it is while memory is short, however often the law asks', async () => {
      const before = await swappedKib(guest());
      const inUse = await stripesInUse(guest());
      const asked = await askedTimes();
      const asks = `[ $(grep -c '"shrinkOverflowTo":[0-9]' /run/swapped.journal) -ge ${asked + ASKED_TIMES} ]`;
      await guest().waitUntil(asks, { what: 'the law asking', limitMs: LIMIT_MS, pauseMs: 3_000 });
      assert.ok((await askedTimes()) >= asked + ASKED_TIMES);
      const after = await swappedKib(guest());
      // Single pages go home when they are used (seen: 5 MiB of programs'); the first stripe, which is full, is more.
      assert.ok(after > before - (STRIPES.mib / 2) * 1024, `${before} KiB were swapped, and ${after} are`);
      assert.equal(await stripesInUse(guest()), inUse, 'a stripe was emptied');
      assert.match(await daemon.journal(), /emptying a stripe needs .* must stay/);
    });

    world.it(
      'stays whole when the daemon is killed while it empties a stripe, and the stop action sees to the stripe',
      async () => {
        // In one go with what gives it the memory for that: it is soon done.
        await guest().run(`kill -TERM ${second.pid}; ${killWhileEmptying(daemon.pid)}`, EMPTYING_LIMIT_MS);
        await second.waitForEnd();
        await daemon.waitForEnd();
        const said = await guest().run(`${stopAction()} --config ${daemon.config}`);
        assert.match(said, new RegExp(`switched on again: .*${FULL_STRIPE}`));
        assert.equal(await stripesOn(), STRIPES.count, 'a stripe was left off');
        assert.ok((await swappedKib(guest())) > 0, 'it was killed too late');
        assert.equal(await hog.check(), 0);
      },
    );

    world.it('comes home under the next daemon when there is memory again, and is what it was', async () => {
      daemon = await start();
      const isEmpty = "awk 'NR > 1 && $4 > 0 { full = 1 } END { exit full }' /proc/swaps";
      await guest().waitUntil(isEmpty, { what: 'the stripes to be empty', limitMs: LIMIT_MS, pauseMs: 2_000 });
      assert.equal(await hog.check(), 0);
      assert.equal(await oomKills(guest()), 0);
      assert.equal(await stripesOn(), STRIPES.count, 'a stripe is missing');
    });

    world.it('was asked home at each step as the specification says, and the journal replays', async (t) => {
      const journal = await daemon.journal();
      await assertReplays(journal);
      const runs = runsIn(journal).map(decidedIn);
      const decided = runs.flat();
      const law = { hysteresis: HYSTERESIS, inertia: INERTIA };
      const lawful = runs.reduce((sum, run) => sum + assertShrinksByLaw(run, law), 0);
      t.diagnostic(`${lawful} of ${decided.length} decisions by the law`);
      assert.ok(lawful > 20 && lawful > 0.5 * decided.length, 'too few looks came in time to say anything');
      for (const { decision } of decided) assert.equal(decision.target, null, 'the balloon was to be left alone');
    });
  });
}
