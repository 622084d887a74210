/**
 * How what is to be plugged into a guest is spread over its devices: as a change of what each of them really has. So nothing wanders
 * from one device to another, one is given more only where none has yet to give something up, and all of them together never have or
 * may take more than was granted, but for what they do not give up. It does not know how much that should be, nor how it is asked for.
 *
 * What a device was found with says where somebody wants memory to be, on which NUMA node: that is filled before the rest, and given up
 * after it.
 */
import { addPages, minPages, NO_PAGES, pages, subtractPages, subtractToZero, type Pages } from '../units.js';
import { blockOf, capacityOf, type PlugDevice } from './plug-devices.js';

/** One device as it is at this moment. */
export interface PlugNow extends PlugDevice {
  /** What it really has plugged in. */
  readonly plugged: Pages;
  /** What it was last asked to have, by whoever asked. */
  readonly asked: Pages;
  /** What it was asked to have when it was first seen. */
  readonly found: Pages;
  /** It did not give up what it has when it was asked to: the others come before it. */
  readonly isReluctant: boolean;
}

const sumOf = (sizes: readonly Pages[]): Pages => sizes.reduce(addPages, NO_PAGES);

/** What each device is to have of `target`, in all. Null: that does not come out in whole blocks, or is more than there can be. */
export function spread(devices: readonly PlugNow[], target: Pages): readonly Pages[] | null {
  const held = sumOf(devices.map(({ plugged }) => plugged));
  if (target < held) return spreadLess(devices, subtractPages(held, target));
  return spreadMore(devices, target, subtractPages(target, held));
}

/** Up to such a size of each device, in order. */
type Wave = (device: PlugNow) => Pages;

function spreadMore(devices: readonly PlugNow[], target: Pages, more: Pages): readonly Pages[] | null {
  const block = blockOf(devices);
  if (block === null) return null;
  const capacity: Wave = (device) => capacityOf(device, block);
  const within =
    (of: Wave): Wave =>
    (device) =>
      minPages(of(device), capacity(device));
  const waves: readonly Wave[] = [
    within(({ asked }) => asked),
    within(({ found }) => found),
    capacity,
    ({ maximum }) => maximum,
  ];
  const sizes = devices.map(({ plugged }) => plugged);
  let left = more;
  for (const wave of waves) {
    for (const [place, device] of devices.entries()) {
      const size = sizes[place] ?? NO_PAGES;
      const step = wholeBlocks(device, minPages(left, subtractToZero(wave(device), size)));
      sizes[place] = addPages(size, step);
      left = subtractPages(left, step);
    }
  }
  return left === 0 || mayFallShort(devices, { target, left, block }) ? sizes : null;
}

const wholeBlocks = ({ block }: PlugDevice, size: Pages): Pages => pages(Math.floor(size / block) * block);

/**
 * Somebody else has filled a device beyond its last whole block of the largest size, or what was found is wanted and lies elsewhere by
 * now: the last part has nowhere to go.
 */
function mayFallShort(
  devices: readonly PlugNow[],
  { target, left, block }: { readonly target: Pages; readonly left: Pages; readonly block: Pages },
): boolean {
  return left < block && (target % block === 0 || target === sumOf(devices.map(({ found }) => found)));
}

/** The last device first: what came on top of what was found, then the rest; and last of all those that did not give anything up. */
function spreadLess(devices: readonly PlugNow[], less: Pages): readonly Pages[] | null {
  const sizes = devices.map(({ plugged }) => plugged);
  const waves: readonly Wave[] = [
    ({ found, plugged, isReluctant }) => (isReluctant ? plugged : found),
    ({ plugged, isReluctant }) => (isReluctant ? plugged : NO_PAGES),
    () => NO_PAGES,
  ];
  let left = less;
  for (const wave of waves) {
    for (const [place, device] of [...devices.entries()].reverse()) {
      const size = sizes[place] ?? NO_PAGES;
      const step = wholeBlocks(device, minPages(left, subtractToZero(size, wave(device))));
      sizes[place] = subtractPages(size, step);
      left = subtractPages(left, step);
    }
  }
  return left === 0 ? sizes : null;
}

/** A device of one guest, by a name that no other of its devices has. Sizes are null where its host does not say them. */
export interface SeenPlug extends PlugDevice {
  readonly key: string;
  readonly plugged: Pages | null;
  readonly asked: Pages | null;
}

export interface PlugRequest<Device> {
  readonly device: Device;
  readonly size: Pages;
}

/** Those that are to have less than they were asked for before come first, the others when that has been taken. */
export type PlugRequests<Device> = readonly [
  lowered: readonly PlugRequest<Device>[],
  raised: readonly PlugRequest<Device>[],
];

/** What is remembered of the devices of one guest. */
export class PlugHistory {
  #found: ReadonlyMap<string, Pages> = new Map();
  /** What those have that were to have less, and then were told to keep it. */
  readonly #kept = new Map<string, Pages>();

  /** These are there now. */
  noteSeen(devices: readonly SeenPlug[]): void {
    this.#found = new Map(
      devices.flatMap(({ key, asked }) => {
        const found = this.#found.get(key) ?? asked;
        return found === null ? [] : [[key, found] as const];
      }),
    );
  }

  /** What to ask for, so that they have `target` in all. `unknown`: their sizes have to be known for it. Null: as `spread`. */
  plan<Device extends SeenPlug>(devices: readonly Device[], target: Pages): PlugRequests<Device> | 'unknown' | null {
    const [only] = devices;
    if (only !== undefined && devices.length === 1) {
      const [size] = spread([{ ...only, ...NOTHING_KNOWN }], target) ?? [];
      return size === undefined ? null : [[{ device: only, size }], []];
    }
    const now = devices.flatMap((device) => this.#now(device) ?? []);
    if (now.length < devices.length) return 'unknown';
    const sizes = spread(now, target);
    if (sizes === null) return null;
    return this.#requests(devices, now, sizes);
  }

  #now({ key, maximum, block, plugged, asked }: SeenPlug): PlugNow | null {
    if (plugged === null || asked === null) return null;
    const isReluctant = this.#kept.get(key) === plugged;
    return { maximum, block, plugged, asked, found: this.#found.get(key) ?? NO_PAGES, isReluctant };
  }

  #requests<Device extends SeenPlug>(
    devices: readonly Device[],
    now: readonly PlugNow[],
    sizes: readonly Pages[],
  ): PlugRequests<Device> {
    const [lowered, raised]: [PlugRequest<Device>[], PlugRequest<Device>[]] = [[], []];
    for (const [place, device] of devices.entries()) {
      const { plugged = NO_PAGES, asked = NO_PAGES } = now[place] ?? {};
      const size = sizes[place] ?? NO_PAGES;
      if (asked < plugged && size >= plugged) this.#kept.set(device.key, plugged);
      if (size !== asked) (size < asked ? lowered : raised).push({ device, size });
    }
    return [lowered, raised];
  }
}

/** One device has it all, whatever it has now. */
const NOTHING_KNOWN = { plugged: NO_PAGES, asked: NO_PAGES, found: NO_PAGES, isReluctant: false };

/**
 * Carries them out. Settles only when none can have an effect any more; nobody is given more where one was not told to have less, or
 * where the caller has given up. Rejects as `ask` does, or with the signal's reason.
 */
export async function askDevices<Device>(
  requests: PlugRequests<Device>,
  ask: (request: PlugRequest<Device>) => Promise<unknown>,
  signal: AbortSignal,
): Promise<void> {
  for (const batch of requests) {
    if (batch.length > 0) signal.throwIfAborted();
    for (const result of await Promise.allSettled(batch.map(ask))) {
      if (result.status === 'rejected') throw result.reason;
    }
  }
}

/** For people: what they are asked to have. */
export const describeRequests = (requests: PlugRequests<unknown>, inUnit: (size: Pages) => number): string =>
  requests
    .flat()
    .map(({ size }) => inUnit(size))
    .join(' + ');
