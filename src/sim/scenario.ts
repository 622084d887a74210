/** Ready-made simulated hosts: the one that can be watched and tried, and large ones to measure with. */
import { SelfballoonError } from '../errors.js';
import { mib, mibToPages, pages, type Millis } from '../units.js';
import { SimHost } from './host.js';
import { LIVES, type LifeName } from './workloads/index.js';

/** Each guest's maximum as a share of the host's memory: together twice as much as there is. Largest need first to come. */
const EIGHT_GUESTS: readonly (readonly [LifeName, number])[] = [
  ['idle', 1 / 8],
  ['web', 2 / 8],
  ['builds', 4 / 8],
  ['jvm', 3 / 8],
  ['leak', 1 / 8],
  ['batch', 2 / 8],
  ['database', 2 / 8],
  ['swapper', 1 / 8],
];
/** What a guest holds at start, of its maximum: together nine tenths of the host. */
const BOOT_SHARE = 0.45;

/** Below this the guests are too small for a kernel and its work; above it nobody has such a machine. */
const HOST_MIB_MIN = 2_048;
const HOST_MIB_MAX = 64 * 1024 * 1024;

/** The host of the demonstration. The same seed makes the same world. */
export interface EmbeddedHostOptions {
  readonly seed: number;
  /** The host's memory, 2,048 or more. */
  readonly hostMib: number;
  /** The world's time at start. Default 0. */
  readonly startAt?: Millis;
  readonly afterTick?: (host: SimHost) => void;
}

/**
 * A host with eight guests of eight different lives, whose maxima sum to twice its memory. They start with less than half of
 * their maximum. It is nine in the evening; the nightly batch begins two hours later. Throws `SelfballoonError` (`EINVAL`)
 * for a size that cannot be.
 */
export function embeddedHost(options: EmbeddedHostOptions): SimHost {
  const { hostMib } = options;
  if (!Number.isInteger(hostMib) || hostMib < HOST_MIB_MIN || hostMib > HOST_MIB_MAX) {
    throw new SelfballoonError({
      code: 'EINVAL',
      message: `a simulated host of ${hostMib} MiB was asked for`,
      advice: `Give a whole number from ${HOST_MIB_MIN} to ${HOST_MIB_MAX}`,
    });
  }
  const totalPages = mibToPages(mib(hostMib));
  const host = new SimHost({ ...options, totalPages });
  for (const [name, share] of EIGHT_GUESTS) {
    const maximumPages = pages(Math.floor(totalPages * share));
    const bootPages = pages(Math.floor(maximumPages * BOOT_SHARE));
    host.addGuest({ name, bootPages, maximumPages, workload: LIVES[name] });
  }
  return host;
}

const LIFE_NAMES = EIGHT_GUESTS.map(([life]) => life);
const SMALL_GUEST = mibToPages(mib(1_024));

/** `count` guests of 1 GiB, leading the eight lives in turn, on a host of half the sum. For measuring. */
export function manyGuests(options: { readonly seed: number; readonly count: number }): SimHost {
  const { seed, count } = options;
  const host = new SimHost({ seed, totalPages: pages((count * SMALL_GUEST) / 2) });
  for (let index = 0; index < count; index += 1) {
    const life = LIFE_NAMES[index % LIFE_NAMES.length] ?? 'idle';
    const bootPages = pages(Math.floor(SMALL_GUEST * BOOT_SHARE));
    host.addGuest({ name: `${life}-${index}`, bootPages, maximumPages: SMALL_GUEST, workload: LIVES[life] });
  }
  return host;
}
