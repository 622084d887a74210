/**
 * `npm run bench:bursts`: how soon the daemon answers a guest that suddenly needs 60 % of its memory. The real program drives a real QEMU
 * guest of the lab; the guest's own kernel says when somebody had to wait, and what went over the monitor's socket says when it was
 * answered; over libvirt, that it has been carried out. Exit code 1: the figures mean nothing; that a goal was missed is no failure. 2: it
 * was called wrongly, or there is no lab.
 */
import { rmSync } from 'node:fs';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { requireReady } from '../../lab/mode.js';
import type { QemuImages } from '../../lab/qemu/images.js';
import { findQemuLab } from '../../lab/qemu/marker.js';
import { makeRunFolder } from '../../lab/run-folder.js';
import { errorText } from '../../src/errors.js';
import { createRandomStream } from '../../src/sim/random.js';
import { describeMachine, print } from '../print.js';
import { wholeNumber } from '../whole-number.js';
import { latencyOf, rowsOf, whatIsWrong, type Burst } from './figures.js';
import { bootBurstGuest, MEMORY_MIB } from './guest.js';
import { settingNames, settingsNamed, type Setting } from './settings.js';
import { DEMAND_MIB, runBurst } from './trial.js';

const USAGE = `usage: npm run bench:bursts -- [--bursts N] [--settings NAMES] [--seed N] [--stall-ms N] [--window-ms N]
  --bursts     how many for each setting, 1 to 1000 (30)
  --settings   which, separated by commas (${settingNames()})
  --seed       of the moments at which bursts begin (1)
  --stall-ms, --window-ms   the agent's pressure trigger (its defaults)`;

interface Asked {
  readonly bursts: number;
  readonly settings: readonly Setting[];
  readonly seed: number;
  readonly pressure: string;
  readonly images: QemuImages;
}

/** Throws for what is not understood, and where there is no lab. */
function askedFor(): Asked {
  const option = { type: 'string' } as const;
  const { values } = parseArgs({
    options: { bursts: option, settings: option, seed: option, 'stall-ms': option, 'window-ms': option },
  });
  const pressure = (['stall-ms', 'window-ms'] as const).flatMap((name) => {
    const text = values[name];
    return text === undefined ? [] : [`${name.replace('-', '_')} = ${wholeNumber(text, 1, 10_000)}\n`];
  });
  return {
    bursts: wholeNumber(values.bursts ?? '30', 1, 1_000),
    settings: settingsNamed(values.settings ?? settingNames()),
    seed: wholeNumber(values.seed ?? '1', 0, 2 ** 32 - 1),
    pressure: pressure.join(''),
    images: requireReady(findQemuLab()),
  };
}

/** All bursts of one setting, in a guest of their own. */
async function measure(setting: Setting, { bursts, seed, pressure, images }: Asked): Promise<readonly Burst[]> {
  const folder = makeRunFolder('selfballoon-bursts');
  const random = createRandomStream(seed, setting.name);
  try {
    const { guest, place, close } = await bootBurstGuest(images, { folder, setting, pressure });
    try {
      const seen: Burst[] = [];
      while (seen.length < bursts) {
        const burst = await runBurst({ guest, place, folder, setting, random });
        seen.push(burst);
        console.error(`${setting.name} ${seen.length}: ${JSON.stringify(burst, rounded)} latency ${latencyOf(burst)}`);
      }
      return seen;
    } finally {
      await close();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const rounded = (_: string, value: unknown): unknown => (typeof value === 'number' ? Math.round(value) : value);

const load = (): string =>
  loadavg()
    .map((value) => value.toFixed(2))
    .join(' ');

async function main(): Promise<number> {
  let asked: Asked;
  try {
    asked = askedFor();
  } catch (error) {
    console.error(`${errorText(error)}\n${USAGE}`);
    return 2;
  }
  console.log(describeMachine());
  console.log(`a guest of ${MEMORY_MIB} MiB, ${DEMAND_MIB} MiB demanded at once; load before: ${load()}`);
  let code = 0;
  for (const setting of asked.settings) {
    const bursts = await measure(setting, asked);
    for (const row of rowsOf(setting, bursts)) print(row);
    const wrong = whatIsWrong(bursts);
    if (wrong === null) continue;
    console.error(`${setting.words}: the figures mean nothing: ${wrong}`);
    code = 1;
  }
  console.log(`load after: ${load()}`);
  return code;
}

process.exitCode = await main();
