/** What the idle daemon holds in memory: the real program as a process of its own, with the embedded host, after some rounds. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { BenchRow } from './row.js';

const PROGRAM = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
/** The engine gives back what the start had used within half a minute. */
const SETTLE_MS = 40_000;

export async function benchDaemon(): Promise<readonly BenchRow[]> {
  const folder = mkdtempSync(join(tmpdir(), 'selfballoon-bench-'));
  const socket = join(folder, 'run', 'selfballoon.sock');
  const flags = ['run', '--hypervisor', 'embedded', '--socket', socket, '--no-table'];
  const daemon = spawn(process.execPath, [PROGRAM, ...flags], { stdio: 'ignore' });
  try {
    await sleep(SETTLE_MS);
    const kib = memoryOf(daemon.pid ?? 0);
    return [
      { name: 'resident memory of the idle daemon', unit: 'MiB', value: kib('Rss') / 1024, goal: 60 },
      { name: 'of that, private and not backed by a file', unit: 'MiB', value: kib('Anonymous') / 1024, goal: null },
    ];
  } finally {
    daemon.kill('SIGINT');
    await new Promise((resolve) => daemon.once('exit', resolve));
    rmSync(folder, { recursive: true });
  }
}

function memoryOf(pid: number): (name: string) => number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? Number.NaN);
}
