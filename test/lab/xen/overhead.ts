/** What the daemon itself costs a small guest, measured where it runs. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Daemon } from '../../../lab/xen/daemon.js';
import type { XenGuest } from '../../../lab/xen/guest.js';
import { decidedIn, lastRun } from './journal.js';
import type { XenWorld } from './world.js';

const MEASURED_MS = 60_000;
/** An emulated one takes half a minute; it is the guest's only one, and its figures are told and not judged. */
/** A run takes 20 to 50 s, and longer on a slow machine. */
const CALIBRATION_LIMIT_MS = 400_000;
const CALIBRATIONS = { emulated: 1, native: 3 } as const;
const PRIVATE_KIB_MAX = 16 * 1024;
const execFileOf = promisify(execFile);
const CALIBRATE = fileURLToPath(new URL('../../../bench/calibrate.js', import.meta.url));

interface Sample {
  /** Milliseconds of the guest's time of day, and of CPU time of the process so far. */
  readonly at: number;
  readonly cpuMs: number;
  readonly residentKib: number;
  /** Its own, not backed by a file, and what of that is swapped out. */
  readonly anonymousKib: number;
  readonly swappedKib: number;
}

/** To be called in the suite of a guest of 256 MiB in which a daemon has just been started with the defaults. */
export function overhead(world: XenWorld, guest: () => XenGuest, daemon: () => Daemon): void {
  describe("the daemon's own cost", { concurrency: 1 }, () => {
    world.it('is at most 16 MiB of private memory; all figures are told', async (t) => {
      // While the daemon, too, gets to where it stays.
      const [emulated, native] = await Promise.all([guestSpeed(guest()), nativeSpeed()]);
      const before = await sample(guest(), daemon().pid);
      await sleep(MEASURED_MS);
      const after = await sample(guest(), daemon().pid);
      const decisions = decidedIn(lastRun(await daemon().journal())).filter(({ step }) => step.at >= before.at).length;
      const [cpuMs, seconds] = [after.cpuMs - before.cpuMs, (after.at - before.at) / 1_000];
      t.diagnostic(
        `resident ${after.residentKib} KiB, private ${after.anonymousKib} KiB, swapped ${after.swappedKib} KiB`,
      );
      t.diagnostic(`${cpuMs.toFixed(0)} ms of CPU in ${seconds.toFixed(0)} s and ${decisions} decisions in the guest`);
      for (const kind of ['paced', 'warm'] as const) {
        const slower = emulated[kind] / native[kind];
        const percent = (cpuMs / slower / (seconds * 10)).toFixed(2);
        t.diagnostic(`${kind} work is ${slower.toFixed(1)} times slower there: ${percent} % of a bare processor`);
      }
      const own = after.anonymousKib + after.swappedKib;
      assert.ok(own <= PRIVATE_KIB_MAX, `${own} KiB are its own`);
    });
  });
}

async function sample(guest: XenGuest, pid: number): Promise<Sample> {
  // Of all its threads: a process's own schedstat is its first thread's.
  const cpu = `cat /proc/${pid}/task/*/schedstat | awk '{ sum += $1 } END { printf "%.0f\\n", sum }'`;
  const text = await guest.run(`date +%s; ${cpu}; cat /proc/${pid}/smaps_rollup`);
  const [seconds, nanoseconds] = text.split('\n').map(Number);
  const kib = (name: string): number => Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(text)?.[1]);
  return {
    at: Number(seconds) * 1_000,
    cpuMs: Number(nanoseconds) / 1e6,
    residentKib: kib('Rss'),
    anonymousKib: kib('Anonymous'),
    swappedKib: kib('Swap'),
  };
}

/** What a unit of a daemon's work takes, in microseconds of CPU time: one at a time with pauses, and one after the other. */
interface Speed {
  readonly paced: number;
  readonly warm: number;
}

function speedIn(printed: string): Speed {
  const { paced, warm } = JSON.parse(printed) as Readonly<Record<'paced' | 'warm', { readonly totalUs: number }>>;
  return { paced: paced.totalUs, warm: warm.totalUs };
}

/** The same work in the guest and here, to know how much slower its processor is: the best of some runs here, and one there. */
const guestSpeed = (guest: XenGuest): Promise<Speed> =>
  bestSpeed(CALIBRATIONS.emulated, async () =>
    speedIn(await guest.run('node /app/lab/bench/calibrate.js', CALIBRATION_LIMIT_MS)),
  );

const nativeSpeed = (): Promise<Speed> =>
  bestSpeed(CALIBRATIONS.native, async () => speedIn((await execFileOf(process.execPath, [CALIBRATE])).stdout));

async function bestSpeed(runs: number, measure: () => Promise<Speed>): Promise<Speed> {
  let best: Speed = { paced: Infinity, warm: Infinity };
  for (let run = 0; run < runs; run += 1) {
    const { paced, warm } = await measure();
    best = { paced: Math.min(best.paced, paced), warm: Math.min(best.warm, warm) };
  }
  return best;
}
