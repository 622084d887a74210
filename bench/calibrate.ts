/**
 * `node dist/bench/calibrate.js`: how much CPU time the same work takes here, as one line of JSON. Run natively and in an
 * emulated guest, the two answers' ratio turns the guest's CPU time into native time. One compiled file, nothing but Node.js.
 *
 * The work is a daemon's round in small: kernel files read through kept descriptors, texts parsed, a record written as JSON and
 * read back. The texts are the same everywhere; what is read is not parsed, for kernels differ. It does not know what a round of
 * the real daemon takes.
 */
import { closeSync, openSync, readSync, realpathSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';

/** CPU time of one unit of work, in microseconds. */
export interface UnitCost {
  readonly userUs: number;
  readonly systemUs: number;
  readonly totalUs: number;
}

/** Before anything is measured: the compiler has seen the work by then. */
const WARM_UP_UNITS = 300;
const WARM_UNITS = 2_000;
const PACED_UNITS = 60;
/** Long enough that other work has been on the processor in between, as between a daemon's rounds. */
const PACE_MS = 250;

/** Short, and of the same length on every kernel to within some digits. */
const FILES = ['/proc/loadavg', '/proc/uptime', '/proc/self/statm'] as const;
const FIELDS = 50;
const FIELD_KIB = 4_096;

/** A text as `/proc/meminfo` has it. */
export const SAMPLE_TEXT = Array.from(
  { length: FIELDS },
  (_, at) => `${`Field${at}:`.padEnd(16)}${String(at * FIELD_KIB).padStart(12)} kB\n`,
).join('');

/** Number by name, from such a text. */
export function parseFields(text: string): ReadonlyMap<string, number> {
  const fields = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^(\w+):\s+(\d+) kB$/.exec(line);
    if (match !== null) fields.set(match[1] ?? '', Number(match[2]));
  }
  return fields;
}

/** One unit of work. Returns something that depends on all of it, so that none of it can be left out. */
export function workOnce(descriptors: readonly number[], buffer: Buffer): number {
  let bytes = 0;
  for (const descriptor of descriptors) bytes += readSync(descriptor, buffer, 0, buffer.length, 0);
  const fields = parseFields(SAMPLE_TEXT);
  const record = { kind: 'step', bytes, signals: [...fields].map(([name, value]) => ({ name, value, known: true })) };
  const copy: unknown = JSON.parse(JSON.stringify(record));
  const isWhole = typeof copy === 'object' && copy !== null && 'bytes' in copy && copy.bytes === bytes;
  return isWhole ? fields.size : 0;
}

/** What a unit took, from the CPU times of all of them in microseconds. */
export function costOf(used: NodeJS.CpuUsage, units: number): UnitCost {
  const each = (microseconds: number): number => Math.round((microseconds / units) * 10) / 10;
  return { userUs: each(used.user), systemUs: each(used.system), totalUs: each(used.user + used.system) };
}

/** One unit after the other: the processor's caches, and an emulator's, have it all. */
function measureWarm(work: () => number): UnitCost {
  const before = process.cpuUsage();
  for (let unit = 0; unit < WARM_UNITS; unit += 1) work();
  return costOf(process.cpuUsage(before), WARM_UNITS);
}

/** One unit at a time with pauses, as an idle daemon works; waking up is part of it. */
async function measurePaced(work: () => number): Promise<UnitCost> {
  const before = process.cpuUsage();
  for (let unit = 0; unit < PACED_UNITS; unit += 1) {
    await sleep(PACE_MS);
    work();
  }
  return costOf(process.cpuUsage(before), PACED_UNITS);
}

async function main(): Promise<void> {
  // As the daemon inside a guest runs.
  setFlagsFromString('--no-opt');
  const descriptors = FILES.map((file) => openSync(file, 'r'));
  const buffer = Buffer.alloc(4_096);
  const work = (): number => workOnce(descriptors, buffer);
  for (let unit = 0; unit < WARM_UP_UNITS; unit += 1) work();
  const paced = await measurePaced(work);
  const warm = measureWarm(work);
  for (const descriptor of descriptors) closeSync(descriptor);
  console.log(JSON.stringify({ node: process.version, arch: process.arch, paced, warm }));
}

if (realpathSync(process.argv[1] ?? '') === fileURLToPath(import.meta.url)) await main();
