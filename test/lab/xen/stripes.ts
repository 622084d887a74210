/** Swap stripes over zram in a guest of the lab, and the configuration that names them. */
import { basename } from 'node:path';
import type { XenGuest } from '../../../lab/xen/guest.js';

export interface Stripes {
  /** The number of the first device; default 0. A guest of the lab has eight of them. */
  readonly first?: number;
  readonly count: number;
  readonly mib: number;
}

const devices = ({ first = 0, count }: Stripes): readonly string[] =>
  Array.from({ length: count }, (_, n) => `/dev/zram${first + n}`);

/** Makes the stripes; the daemon under test switches them on. */
export async function makeStripes(guest: XenGuest, stripes: Stripes): Promise<void> {
  const make = devices(stripes).map((device) => {
    const size = `/sys/block/${basename(device)}/disksize`;
    return `echo ${stripes.mib}M > ${size} && mkswap ${device} >/dev/null`;
  });
  await guest.run(make.join(' && '));
}

/** The configuration's section about the stripes. */
export const overflowSection = (stripes: Stripes, reserveMib: number): string =>
  `[overflow]\ndevices = ${JSON.stringify(devices(stripes))}\nreserve_mib = ${reserveMib}\n`;

/**
 * A section about the watch between two rounds. Without it the law alone decides: under emulation dropping file pages is so slow
 * that it counts as a stall, and would be answered by giving everything back.
 */
export const pressureSection = (isWatched: boolean): string => `[pressure]\nwatch = ${isWatched}\n`;

/** A section of tunables. */
export const tunablesSection = (values: Readonly<Record<string, number>>): string =>
  ['[tunables]', ...Object.entries(values).map(([name, value]) => `${name} = ${value}`), ''].join('\n');
