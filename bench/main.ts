/**
 * `npm run bench`: prints every figure with its goal, and the machine that it was measured on. Each benchmark has a process of
 * its own, for what ran before changes what the compiler does with what comes after.
 */
import { execFileSync } from 'node:child_process';
import { cpus, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { benchAlarm } from './alarm.js';
import { benchBalloon } from './balloon.js';
import { benchDaemon } from './daemon.js';
import { benchSimulator } from './embedded.js';
import { benchLoop } from './loop.js';
import { benchPolicy } from './policy.js';
import type { BenchRow } from './row.js';
import { benchSignals } from './signals.js';
import { benchXenHost } from './xen-host.js';

const BENCHMARKS: Readonly<Record<string, () => readonly BenchRow[] | Promise<readonly BenchRow[]>>> = {
  policy: benchPolicy,
  balloon: benchBalloon,
  simulator: benchSimulator,
  loop: benchLoop,
  signals: benchSignals,
  'xen-host': benchXenHost,
  alarm: benchAlarm,
  daemon: benchDaemon,
};

function verdict({ value, goal, isRate }: BenchRow): string {
  if (goal === null) return '';
  const isMet = isRate === true ? value >= goal : value <= goal;
  return `${isRate === true ? 'at least' : 'at most'} ${goal}: ${isMet ? 'met' : 'MISSED'}`;
}

function print(row: BenchRow): void {
  const value = row.value >= 1_000 ? Math.round(row.value).toLocaleString('en') : row.value.toPrecision(3);
  console.log(`${row.name.padEnd(60)} ${value.padStart(10)} ${row.unit.padEnd(4)} ${verdict(row)}`);
}

function describeMachine(): string {
  const [cpu] = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpu?.model ?? 'unknown processor'}, ${cpus().length} cores, ${memory} GiB, Linux ${release()}, Node.js ${process.version}`;
}

const [name] = process.argv.slice(2);
const chosen = name === undefined ? undefined : BENCHMARKS[name];
if (chosen !== undefined) {
  for (const row of await chosen()) print(row);
} else {
  console.log(describeMachine());
  const program = fileURLToPath(import.meta.url);
  for (const each of Object.keys(BENCHMARKS)) execFileSync(process.execPath, [program, each], { stdio: 'inherit' });
}
