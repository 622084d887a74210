/**
 * `npm run bench`: prints every figure with its goal, and the machine that it was measured on. Each benchmark has a process of
 * its own, for what ran before changes what the compiler does with what comes after.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { benchAlarm } from './alarm.js';
import { benchBalloon } from './balloon.js';
import { benchDaemon } from './daemon.js';
import { benchSimulator } from './embedded.js';
import { benchLoop } from './loop.js';
import { benchPolicy } from './policy.js';
import { describeMachine, print } from './print.js';
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

const [name] = process.argv.slice(2);
const chosen = name === undefined ? undefined : BENCHMARKS[name];
if (chosen !== undefined) {
  for (const row of await chosen()) print(row);
} else {
  console.log(describeMachine());
  const program = fileURLToPath(import.meta.url);
  for (const each of Object.keys(BENCHMARKS)) execFileSync(process.execPath, [program, each], { stdio: 'inherit' });
}
