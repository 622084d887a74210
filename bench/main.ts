/** `npm run bench`: prints every figure with its goal, and the machine that it was measured on. */
import { cpus, release, totalmem } from 'node:os';
import { benchBalloon } from './balloon.js';
import { benchDaemon } from './daemon.js';
import { benchSimulator } from './embedded.js';
import { benchLoop } from './loop.js';
import { benchPolicy } from './policy.js';
import type { BenchRow } from './row.js';
import { benchSignals } from './signals.js';

function verdict({ value, goal, isRate }: BenchRow): string {
  if (goal === null) return '';
  const isMet = isRate === true ? value >= goal : value <= goal;
  return `${isRate === true ? 'at least' : 'at most'} ${goal}: ${isMet ? 'met' : 'MISSED'}`;
}

function print(rows: readonly BenchRow[]): void {
  for (const row of rows) {
    const value = row.value >= 1_000 ? Math.round(row.value).toLocaleString('en') : row.value.toPrecision(3);
    console.log(`${row.name.padEnd(60)} ${value.padStart(10)} ${row.unit.padEnd(4)} ${verdict(row)}`);
  }
}

const [cpu] = cpus();
console.log(
  `${cpu?.model ?? 'unknown processor'}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, ` +
    `Linux ${release()}, Node.js ${process.version}`,
);
print(await benchPolicy());
print(benchBalloon());
print(await benchSimulator());
print(await benchLoop());
print(benchSignals());
print(await benchDaemon());
