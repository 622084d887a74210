/** Does the guest have what a shrinking guest needs: swap as large as its memory, a tier that catches it, and readings. */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Signals } from '../../control/reading.js';
import type { Field } from '../../control/signal.js';
import { kernelName } from '../../overflow/index.js';
import { openProcFile } from '../../signals/proc-file.js';
import { parseSwaps, type SwapArea } from '../../signals/swaps.js';
import { parseWhole } from '../../signals/text.js';
import { addPages, NO_PAGES, pages, pagesToMibDown, subtractToZero, type Pages } from '../../units.js';
import { fail, ok, warn, type Finding } from './finding.js';

const sizeText = (count: Pages): string => `${pagesToMibDown(count)} MiB`;

/** What is known of swap and of the memory that it stands behind. `current` and `maximum` are the balloon's. */
export interface SwapSeen {
  readonly total: Field<Pages>;
  readonly swapTotal: Field<Pages>;
  readonly current: Field<Pages>;
  readonly maximum: Field<Pages>;
}

/** A guest without enough swap must not self-balloon: swap should be about as large as its memory. */
export function checkSwap(seen: SwapSeen): Finding {
  const { swapTotal } = seen;
  const memory = wholeMemory(seen);
  if (!swapTotal.known) {
    return fail(
      `how much swap there is could not be read (${swapTotal.detail})`,
      'Look at /proc/meminfo; is /proc mounted?',
    );
  }
  if (swapTotal.value === 0 && memory === null)
    return fail('0 MiB of swap', 'Add as much swap as the guest has memory');
  if (memory === null) return warn('how much memory there is could not be read', 'Look at /proc/meminfo');
  const missing = subtractToZero(memory, swapTotal.value);
  const what = `${sizeText(swapTotal.value)} of swap for ${sizeText(memory)} of memory`;
  if (missing === 0) return ok(what);
  const advice = `Add about ${sizeText(missing)} of swap, so that a demand that comes too fast costs time and not a process`;
  return swapTotal.value === 0 ? fail(what, advice) : warn(what, advice);
}

/**
 * What the swap devices that `run` is going to switch on will add: those that are configured and not on yet. One whose size cannot be
 * read adds nothing.
 */
export function plannedSwap(devices: readonly string[], root: string): Pages {
  const swaps = readSwaps(root);
  const isOn = (name: string): boolean => swaps.known && swaps.value.some((area) => area.name === name);
  return devices
    .map(kernelName)
    .filter((name) => !isOn(name))
    .map((name) => deviceSize(name, root))
    .reduce(addPages, NO_PAGES);
}

/** The kernel counts blocks of 512 bytes, whatever the device's own are. */
const BLOCKS_PER_PAGE = 8;

function deviceSize(name: string, root: string): Pages {
  const text = readText(join(root, 'sys', 'class', 'block', basename(name), 'size'));
  const blocks = text.known ? parseWhole(text.value.trimEnd()) : null;
  return blocks === null ? NO_PAGES : pages(Math.floor(blocks / BLOCKS_PER_PAGE));
}

function readSwaps(root: string): Field<readonly SwapArea[]> {
  const text = readText(join(root, 'proc', 'swaps'));
  return text.known ? parseSwaps(text.value) : text;
}

function readText(path: string): Field<string> {
  const file = openProcFile(path);
  const text = file.read();
  file.close();
  return text;
}

/** What the kernel would manage if its balloon, as far as it is known, gave everything back; null where nothing is known. */
function wholeMemory({ total, current, maximum }: SwapSeen): Pages | null {
  if (!total.known) return null;
  return current.known && maximum.known
    ? addPages(total.value, subtractToZero(maximum.value, current.value))
    : total.value;
}

/** The swap stripes that catch what is swapped, as configured and as they are. */
export function checkTier(devices: readonly string[], root: string): readonly Finding[] {
  if (devices.length === 0) {
    const advice = 'Set overflow.devices to two or more equal swap devices (zram or block), highest priority first';
    return [fail('no overflow tier is configured; without one self-ballooning refuses to start', advice)];
  }
  const swaps = readSwaps(root);
  if (!swaps.known) return [fail(`/proc/swaps could not be read (${swaps.detail})`, 'Is /proc mounted?')];
  return devices.map((device) => checkStripe(device, swaps.value));
}

function checkStripe(device: string, swaps: readonly SwapArea[]): Finding {
  const area = swaps.find(({ name }) => name === kernelName(device));
  if (area === undefined && !existsSync(device)) {
    return fail(
      `swap stripe ${device} does not exist`,
      'Make it, or take it out of overflow.devices: without any stripe that can be switched on run refuses to start',
    );
  }
  if (area === undefined) {
    return warn(
      `swap stripe ${device} is not switched on`,
      `Check that it exists and has been through mkswap; run switches it on`,
    );
  }
  return ok(`swap stripe ${device}: ${sizeText(area.used)} of ${sizeText(area.size)} used, priority ${area.priority}`);
}

const NEEDED = ['total', 'committed', 'reserve', 'maxPfn'] as const;

/** The readings without which nothing is ever decided, and the one that shows trouble early. */
export function checkReadings(signals: Signals): readonly Finding[] {
  const missing = NEEDED.flatMap((name) => {
    const signal = signals[name];
    return signal.known
      ? []
      : [fail(`${name} is not known (${signal.reason}: ${signal.detail})`, 'Without it the guest is left alone')];
  });
  const needed = missing.length > 0 ? missing : [ok('all readings that the law needs are there')];
  const { pressure } = signals;
  if (pressure.known) return [...needed, ok('memory pressure (PSI) can be read')];
  return [
    ...needed,
    warn(`memory pressure cannot be read (${pressure.detail})`, 'Boot with psi=1 on the kernel command line'),
  ];
}
