/** Does the guest have what a shrinking guest needs: swap as large as its memory, a tier that catches it, and readings. */
import { join } from 'node:path';
import type { Signals } from '../../control/reading.js';
import type { Field } from '../../control/signal.js';
import { openProcFile } from '../../signals/proc-file.js';
import { parseSwaps, type SwapArea } from '../../signals/swaps.js';
import { pagesToMibDown, subtractToZero, type Pages } from '../../units.js';
import { fail, ok, warn, type Finding } from './finding.js';

const sizeText = (count: Pages): string => `${pagesToMibDown(count)} MiB`;

/** A guest without enough swap must not self-balloon: swap should be about as large as its memory. */
export function checkSwap({ total, swapTotal }: Signals): Finding {
  if (!total.known || !swapTotal.known) {
    return warn('how much swap there is could not be read', 'Look at /proc/meminfo; is /proc mounted?');
  }
  const missing = subtractToZero(total.value, swapTotal.value);
  const seen = `${sizeText(swapTotal.value)} of swap for ${sizeText(total.value)} of memory`;
  if (missing === 0) return ok(seen);
  const advice = `Add about ${sizeText(missing)} of swap, so that a demand that comes too fast costs time and not a process`;
  return swapTotal.value === 0 ? fail(seen, advice) : warn(seen, advice);
}

/** The swap stripes that catch what is swapped, as configured and as they are. */
export function checkTier(devices: readonly string[], root: string): readonly Finding[] {
  if (devices.length === 0) {
    const advice = 'Set overflow.devices to two or more equal swap devices (zram or block), highest priority first';
    return [fail('no overflow tier is configured; without one self-ballooning refuses to start', advice)];
  }
  const file = openProcFile(join(root, 'proc', 'swaps'));
  const text = file.read();
  file.close();
  const swaps: Field<readonly SwapArea[]> = text.known ? parseSwaps(text.value) : text;
  if (!swaps.known) return [fail(`/proc/swaps could not be read (${swaps.detail})`, 'Is /proc mounted?')];
  return devices.map((device) => checkStripe(device, swaps.value));
}

function checkStripe(device: string, swaps: readonly SwapArea[]): Finding {
  const area = swaps.find(({ name }) => name === device);
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
