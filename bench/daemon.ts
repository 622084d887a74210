/** What the idle daemon holds in memory: the real program as a process of its own, after some rounds, in two places. */
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { BenchRow } from './row.js';

const PROGRAM = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
const GUEST_FILES = fileURLToPath(new URL('../../test/fixtures/xen-guest', import.meta.url));
/** The engine gives back what the start had used within half a minute. */
const SETTLE_MS = 40_000;
const STRIPE = '/dev/bench-stripe';
const STRIPE_KIB = 262_144;

export async function benchDaemon(): Promise<readonly BenchRow[]> {
  const folder = mkdtempSync(join(tmpdir(), 'selfballoon-bench-'));
  try {
    const [embedded, guest] = await Promise.all([
      measure(join(folder, 'embedded'), ['--hypervisor', 'embedded']),
      measure(join(folder, 'guest'), ['--hypervisor', 'xen-guest', '--config', guestConfig(folder)]),
    ]);
    return [
      { name: 'resident memory of the idle daemon', unit: 'MiB', value: embedded('Rss'), goal: 60 },
      { name: 'of that, private and not backed by a file', unit: 'MiB', value: embedded('Anonymous'), goal: null },
      { name: 'resident memory of the daemon inside a guest', unit: 'MiB', value: guest('Rss'), goal: 60 },
      { name: 'of that, private and not backed by a file', unit: 'MiB', value: guest('Anonymous'), goal: 16 },
    ];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A folder with the files of a Xen guest whose one swap stripe is on; nothing of this machine is touched. */
function guestConfig(folder: string): string {
  const root = join(folder, 'root');
  cpSync(GUEST_FILES, root, { recursive: true });
  const swaps = `Filename\tType\tSize\tUsed\tPriority\n${STRIPE} partition\t${STRIPE_KIB}\t0\t100\n`;
  writeFileSync(join(root, 'proc', 'swaps'), swaps);
  const meminfo = readFileSync(join(root, 'proc', 'meminfo'), 'utf8');
  writeFileSync(join(root, 'proc', 'meminfo'), meminfo.replace(/Swap(Total|Free): .*/g, `Swap$1: ${STRIPE_KIB} kB`));
  const config = join(folder, 'guest.toml');
  writeFileSync(config, `[overflow]\ndevices = ["${STRIPE}"]\nreserve_mib = 0\n[xen_guest]\nroot = "${root}"\n`);
  return config;
}

/** Figures of `smaps_rollup` by name, in MiB, of a daemon with these flags. */
async function measure(folder: string, place: readonly string[]): Promise<(name: string) => number> {
  const flags = ['run', ...place, '--socket', join(folder, 'selfballoon.sock'), '--no-table'];
  const daemon = spawn(process.execPath, [PROGRAM, ...flags], { stdio: 'ignore' });
  const ended = new Promise((resolve) => daemon.once('exit', resolve));
  try {
    await sleep(SETTLE_MS);
    const text = readFileSync(`/proc/${daemon.pid ?? 0}/smaps_rollup`, 'utf8');
    return (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? Number.NaN) / 1024;
  } finally {
    daemon.kill('SIGINT');
    await ended;
  }
}
