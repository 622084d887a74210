/**
 * `node dist/bench/overhead.js PID SECONDS`: what a running process takes, as one line of JSON. It looks once a second and needs
 * nothing but Node.js and `/proc`, so that this one compiled file can be copied into a guest that has little else. It does not
 * know what the process is. Its own memory is not counted, but its looks cost the machine some CPU.
 */
import { readFileSync, realpathSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** One look. */
export interface Look {
  readonly rssKib: number;
  /** Memory of the process alone that no file stands behind: it cannot be dropped, only swapped. */
  readonly privateKib: number;
  readonly swapKib: number;
  /** User and system time since the process began, all threads. */
  readonly cpuMs: number;
}

/** A figure over the whole time. */
export interface Course {
  readonly start: number;
  readonly end: number;
  readonly peak: number;
}

export interface Overhead {
  readonly looks: number;
  readonly rssKib: Course;
  readonly privateKib: Course;
  readonly swapKib: Course;
  readonly cpuMs: number;
}

const LOOK_EVERY_MS = 1_000;
/** A day: more looks than that tell nothing new. */
const SECONDS_MAX = 86_400;
/** `/proc/PID/stat` counts in USER_HZ, which is 100 on every architecture that Node.js is built for (proc(5)). */
const MS_PER_TICK = 10;

/** A figure of `smaps_rollup` in KiB. Throws an `Error` that says what is missing. */
export function parseRollup(rollup: string, name: string): number {
  const text = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(rollup)?.[1];
  if (text === undefined) throw new Error(`smaps_rollup has no ${name}`);
  return Number(text);
}

/** `smaps_rollup` and `stat` of a process → numbers. Throws an `Error` that says what is missing. */
export function parseLook(rollup: string, stat: string): Look {
  const kib = (name: string): number => parseRollup(rollup, name);
  // The name of a program stands in brackets and may hold brackets and blanks itself; what follows the last one is numbers.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [userTicks, systemTicks] = [Number(fields[11]), Number(fields[12])];
  if (!Number.isSafeInteger(userTicks) || !Number.isSafeInteger(systemTicks)) throw new Error('stat has no CPU times');
  const cpuMs = (userTicks + systemTicks) * MS_PER_TICK;
  return { rssKib: kib('Rss'), privateKib: kib('Anonymous'), swapKib: kib('Swap'), cpuMs };
}

/** Sums the looks up, oldest first; at least one. */
export function sumUp(looks: readonly Look[]): Overhead {
  const [first, last] = [looks[0], looks.at(-1)];
  if (first === undefined || last === undefined) throw new Error('nothing was seen of the process');
  const course = (of: (look: Look) => number): Course => ({
    start: of(first),
    end: of(last),
    peak: looks.reduce((peak, look) => Math.max(peak, of(look)), 0),
  });
  return {
    looks: looks.length,
    rssKib: course(({ rssKib }) => rssKib),
    privateKib: course(({ privateKib }) => privateKib),
    swapKib: course(({ swapKib }) => swapKib),
    cpuMs: last.cpuMs - first.cpuMs,
  };
}

function lookAt(pid: number): Look | null {
  try {
    const read = (file: string): string => readFileSync(`/proc/${pid}/${file}`, 'utf8');
    return parseLook(read('smaps_rollup'), read('stat'));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    // ENOENT: it is gone; ESRCH: it went while it was read.
    if (code === 'ENOENT' || code === 'ESRCH') return null;
    throw error;
  }
}

/** Looks until the time is over or the process has ended. */
async function watch(
  pid: number,
  seconds: number,
): Promise<{ readonly looks: readonly Look[]; readonly isGone: boolean }> {
  const looks: Look[] = [];
  const until = performance.now() + seconds * 1_000;
  for (;;) {
    const look = lookAt(pid);
    if (look === null) return { looks, isGone: true };
    looks.push(look);
    const left = until - performance.now();
    if (left <= 0) return { looks, isGone: false };
    await sleep(Math.min(left, LOOK_EVERY_MS));
  }
}

function argumentsOf(given: readonly string[]): { readonly pid: number; readonly seconds: number } | null {
  const [pid, seconds] = given.map(Number);
  if (given.length !== 2 || pid === undefined || seconds === undefined) return null;
  const isUsable = Number.isSafeInteger(pid) && pid > 0 && seconds > 0 && seconds <= SECONDS_MAX;
  return isUsable ? { pid, seconds } : null;
}

async function main(): Promise<number> {
  const asked = argumentsOf(process.argv.slice(2));
  if (asked === null) {
    console.error(`usage: node overhead.js PID SECONDS (more than 0, at most ${SECONDS_MAX})`);
    return 2;
  }
  const { looks, isGone } = await watch(asked.pid, asked.seconds);
  if (looks.length === 0) {
    console.error(`there is no process ${asked.pid}`);
    return 1;
  }
  console.log(JSON.stringify({ ...asked, ...sumUp(looks), isGone }));
  return isGone ? 1 : 0;
}

if (realpathSync(process.argv[1] ?? '') === fileURLToPath(import.meta.url)) process.exitCode = await main();
