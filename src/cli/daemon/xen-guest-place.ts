/** The inside of a real Xen guest as the place to run in: its own balloon, and swap stripes as its overflow tier. */
import type { Config } from '../../config/index.js';
import type { Clock } from '../../control/ports.js';
import { SelfballoonError } from '../../errors.js';
import { openXenGuest } from '../../hypervisors/xen-guest/client.js';
import type { XenSituation } from '../../hypervisors/xen-guest/detect.js';
import { openSwapStripes, realSwapCalls, type SwapCalls, type SwapStripes } from '../../overflow/index.js';
import { RealClock } from '../../runtime/real-clock.js';
import { startingTunables, type Place, type PlaceOptions } from './place.js';

export async function openXenGuestPlace(options: PlaceOptions, xen: XenSituation): Promise<Place> {
  const { config, bootOptions, warn } = options;
  const { root } = config.xenGuest;
  const clock = new RealClock();
  // The rule is asked before anything is opened: where we must not run, nothing is touched.
  const tierPresent = config.overflow.devices.length > 0;
  const tunables = startingTunables(config.tunables, {
    xenDomain: xen.kind !== 'not-xen',
    initialDomain: xen.kind === 'initial-domain',
    frontswapConfigured: tierPresent,
    tierPresent,
    bootOptions,
  });
  const tier = await openTier(config, clock, warn);
  const guest = openXenGuest({ root, now: () => clock.now(), tier });
  return {
    clock,
    hypervisors: [guest],
    hasFrontswap: tierPresent,
    tunables,
    isSimulated: false,
    keepTime: null,
    close: async () => {
      await guest.close();
      await tier?.close();
    },
  };
}

async function openTier(config: Config, clock: Clock, warn: (message: string) => void): Promise<SwapStripes | null> {
  const { devices, reserve } = config.overflow;
  if (devices.length === 0) return null;
  const { root } = config.xenGuest;
  const swap = config.isDryRun ? NO_SWAP_CALLS : realSwapCalls();
  const now = (): ReturnType<Clock['now']> => clock.now();
  const tier = await openSwapStripes({ devices, root, reservePages: reserve, swap, now });
  for (const { device, error } of tier.report()) {
    if (error !== null) warn(`swap stripe ${device}: ${error}`);
  }
  return tier;
}

const refuseDry = (device: string): Promise<never> =>
  Promise.reject(new SelfballoonError({ code: 'EPERM', message: `${device} is left as it is, for this is a dry run` }));

/** A dry run changes nothing, the machine's swap neither. */
const NO_SWAP_CALLS: SwapCalls = { swapOn: refuseDry, swapOff: refuseDry };
