/** What the watch between two rounds costs while nothing happens: the share of one core that this process needs for it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RealClock } from '../src/runtime/real-clock.js';
import { openAlarmSensor } from '../src/signals/alarm-sensor.js';
import { millis } from '../src/units.js';
import type { BenchRow } from './row.js';

/** So long that the compiler is done with it. */
const WARM_UP_MS = 10_000;
const MEASURED_MS = 20_000;
/** Available memory in MiB, of 1024: with these it looks once and eight times a second. */
const ROOMY = 700;
const TIGHT = 60;

export async function benchAlarm(): Promise<readonly BenchRow[]> {
  return [
    { name: 'the watch between rounds at rest, a look a second', unit: '%', value: await share(ROOMY), goal: 0.1 },
    { name: 'the same with little room, eight looks a second', unit: '%', value: await share(TIGHT), goal: null },
  ];
}

async function share(availableMib: number): Promise<number> {
  const root = mkdtempSync(join(tmpdir(), 'selfballoon-bench-'));
  mkdirSync(join(root, 'proc'));
  const text = `MemTotal: ${1024 * 1024} kB\nMemFree: 0 kB\nMemAvailable: ${availableMib * 1024} kB\n`;
  writeFileSync(join(root, 'proc', 'meminfo'), text);
  const trigger = { stall: millis(100), window: millis(1000) };
  const sensor = openAlarmSensor({ root, clock: new RealClock(), trigger, onAlarm: () => undefined });
  await sleep(WARM_UP_MS);
  const before = process.cpuUsage();
  await sleep(MEASURED_MS);
  const { user, system } = process.cpuUsage(before);
  await sensor.close();
  rmSync(root, { recursive: true });
  return (user + system) / 10 / MEASURED_MS;
}
