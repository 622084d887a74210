/** The overflow tier of a Xen guest as configured: opened, looked at, and what was done to it said. */
import type { Config } from '../../config/index.js';
import type { Clock } from '../../control/ports.js';
import { SelfballoonError } from '../../errors.js';
import { openSwapStripes, type SwapCalls, type SwapStripes } from '../../overflow/index.js';
import type { Field } from '../../control/signal.js';
import type { Pages } from '../../units.js';

export interface TierOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly swapCalls: SwapCalls;
  /** What the kernel keeps for itself, as it is now. */
  readonly kernelReserve: () => Field<Pages>;
  readonly warn: (message: string) => void;
}

export interface OpenedTier {
  readonly stripes: SwapStripes;
  /** Devices that were switched on, up to now. */
  readonly switchedOn: readonly string[];
}

/** Opens the configured stripes, one at least. Warns of each that cannot be switched on. */
export async function openTier(options: TierOptions): Promise<OpenedTier> {
  const { config, clock, swapCalls, kernelReserve, warn } = options;
  const { devices, reserve } = config.overflow;
  const switchedOn: string[] = [];
  const stripes = await openSwapStripes({
    devices,
    root: config.xenGuest.root,
    reservePages: reserve,
    floorPages: kernelReserve,
    swap: config.isDryRun ? NO_SWAP_CALLS : noting(swapCalls, switchedOn),
    now: () => clock.now(),
  });
  for (const { device, error } of stripes.report()) {
    if (error !== null) warn(`swap stripe ${device}: ${error}`);
  }
  return { stripes, switchedOn };
}

/** The calls, with a note of each device that was switched on. */
const noting = (calls: SwapCalls, switchedOn: string[]): SwapCalls => ({
  swapOn: async (device, priority) => {
    await calls.swapOn(device, priority);
    switchedOn.push(device);
  },
  swapOff: (device) => calls.swapOff(device),
});

const refuseDry = (device: string): Promise<never> =>
  Promise.reject(new SelfballoonError({ code: 'EPERM', message: `${device} is left as it is, for this is a dry run` }));

/** A dry run changes nothing, the machine's swap neither. */
const NO_SWAP_CALLS: SwapCalls = { swapOn: refuseDry, swapOff: refuseDry };
