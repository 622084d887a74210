/** How a benchmark's figures are shown: each with its goal, and the machine that they were measured on. */
import { cpus, release, totalmem } from 'node:os';
import type { BenchRow } from './row.js';

/** One line. */
export function print(row: BenchRow): void {
  const value = row.value >= 1_000 ? Math.round(row.value).toLocaleString('en') : row.value.toPrecision(3);
  console.log(`${row.name.padEnd(60)} ${value.padStart(10)} ${row.unit.padEnd(4)} ${verdict(row)}`.trimEnd());
}

function verdict({ value, goal, isRate }: BenchRow): string {
  if (goal === null) return '';
  const isMet = isRate === true ? value >= goal : value <= goal;
  return `${isRate === true ? 'at least' : 'at most'} ${goal}: ${isMet ? 'met' : 'MISSED'}`;
}

/** The processor, the memory and the software, in one line. */
export function describeMachine(): string {
  const [cpu] = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpu?.model ?? 'unknown processor'}, ${cpus().length} cores, ${memory} GiB, Linux ${release()}, Node.js ${process.version}`;
}
