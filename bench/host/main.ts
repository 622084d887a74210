/**
 * `npm run bench:host`: what the daemon costs on a host of many QEMU machines. The real program, as a process of its own, drives fake
 * QEMUs in another process at a round a second; only the program's process is measured. Exit code 1: the work was not done, so that
 * the figures mean nothing; that a goal was missed is no failure.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { errorText } from '../../src/errors.js';
import { describeMachine, print } from '../print.js';
import { wholeNumber } from '../whole-number.js';
import { configureHost, Daemon } from './daemon.js';
import { rowsOf, whatIsMissing, type Seen } from './figures.js';
import { Machines } from './machines.js';

const BARE = fileURLToPath(new URL('bare-client.js', import.meta.url));

const USAGE = `usage: npm run bench:host -- [--guests N] [--seconds N] [--warm-up N] [--profile FOLDER]
  --guests   how many machines there are, 1 to 4096 (200)
  --seconds  how long the daemon is measured, 2 to 3600 (60)
  --warm-up  how long it runs before that, in seconds, 0 to 3600 (60)
  --profile  a folder for a CPU profile of the daemon, from its start on (none); it makes the daemon slower`;

interface Asked {
  readonly guests: number;
  readonly seconds: number;
  readonly warmUp: number;
  readonly profile: string | null;
}

/** Throws for what is not understood. */
function askedFor(): Asked {
  const option = { type: 'string' } as const;
  const { values } = parseArgs({ options: { guests: option, seconds: option, 'warm-up': option, profile: option } });
  return {
    guests: wholeNumber(values.guests ?? '200', 1, 4_096),
    seconds: wholeNumber(values.seconds ?? '60', 2, 3_600),
    warmUp: wholeNumber(values['warm-up'] ?? '60', 0, 3_600),
    profile: values.profile ?? null,
  };
}

async function measure(asked: Asked): Promise<Seen> {
  const folder = mkdtempSync(join(tmpdir(), 'selfballoon-bench-'));
  let machines: Machines | null = null;
  try {
    machines = await Machines.start(folder, asked.guests);
    return await measureOn(machines, folder, asked);
  } finally {
    await machines?.end();
    rmSync(folder, { recursive: true });
  }
}

async function measureOn(machines: Machines, folder: string, asked: Asked): Promise<Seen> {
  const { seconds, warmUp, profile } = asked;
  const allSeen = machines.hear('all-seen');
  const daemon = new Daemon(
    configureHost(folder, machines.pid),
    profile === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`],
  );
  try {
    await Promise.race([allSeen, daemon.failure()]);
    await sleep(warmUp * 1_000);
    machines.begin();
    const [from, before] = [performance.now(), daemon.cpuMs];
    await sleep(seconds * 1_000);
    const measuredMs = performance.now() - from;
    const cpuMs = daemon.cpuMs - before;
    const records = await machines.report();
    const { memory } = daemon;
    await daemon.end();
    const wholeAtEnd = (await machines.report()).filter(({ isWhole }) => isWhole).length;
    return { measuredMs, cpuMs, memory, machines: records, wholeAtEnd, bareUs: await measureBare(folder, asked) };
  } finally {
    daemon.kill();
  }
}

/** Most that is of use, in seconds: it has less to warm up than the daemon. */
const BARE_MOST = { warmUp: 15, seconds: 20 };

async function measureBare(folder: string, { warmUp, seconds }: Asked): Promise<number> {
  const times = [Math.min(warmUp, BARE_MOST.warmUp), Math.min(seconds, BARE_MOST.seconds)].map(String);
  const { stdout } = await promisify(execFile)(process.execPath, [BARE, folder, ...times]);
  return Number(stdout);
}

async function main(): Promise<number> {
  let asked: Asked;
  try {
    asked = askedFor();
  } catch (error) {
    console.error(`${errorText(error)}\n${USAGE}`);
    return 2;
  }
  const load = (): string =>
    loadavg()
      .map((value) => value.toFixed(2))
      .join(' ');
  console.log(describeMachine());
  console.log(`${asked.guests} guests, a round a second, measured for ${asked.seconds} s; load before: ${load()}`);
  const seen = await measure(asked);
  for (const row of rowsOf(seen)) print(row);
  console.log(`load after: ${load()}`);
  const missing = whatIsMissing(seen);
  if (missing !== null) console.error(`the work was not done: ${missing}`);
  return missing === null ? 0 : 1;
}

process.exitCode = await main();
