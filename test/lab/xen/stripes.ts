/** Swap stripes over zram in a guest of the lab, and the configuration that names them. */
import type { XenGuest } from '../../../lab/xen/guest.js';

export interface StripesOptions {
  readonly count: number;
  readonly mib: number;
}

const devices = (count: number): readonly string[] => Array.from({ length: count }, (_, n) => `/dev/zram${n}`);

/** Makes the stripes; the daemon under test switches them on. */
export async function makeStripes(guest: XenGuest, { count, mib }: StripesOptions): Promise<void> {
  await guest.run(
    `for n in $(seq 0 ${count - 1}); do echo ${mib}M > /sys/block/zram$n/disksize && mkswap /dev/zram$n >/dev/null; done`,
  );
}

/** The configuration's section about `count` stripes. */
export const overflowSection = (count: number, reserveMib: number): string =>
  `[overflow]\ndevices = ${JSON.stringify(devices(count))}\nreserve_mib = ${reserveMib}\n`;

/** A section of tunables. */
export const tunablesSection = (values: Readonly<Record<string, number>>): string =>
  ['[tunables]', ...Object.entries(values).map(([name, value]) => `${name} = ${value}`), ''].join('\n');
