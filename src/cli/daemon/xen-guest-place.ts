/**
 * The inside of a real Xen guest as the place to run in: its own balloon, and swap stripes as its overflow tier. Before anything
 * is asked of the guest it makes sure that there is something to catch what a smaller guest must swap out.
 */
import type { Clock } from '../../control/ports.js';
import type { Tunables } from '../../control/tunables.js';
import { openBalloonFiles } from '../../hypervisors/xen-guest/balloon-files.js';
import { openXenGuest, type AlarmOptions } from '../../hypervisors/xen-guest/client.js';
import type { XenSituation } from '../../hypervisors/xen-guest/detect.js';
import { realSwapCalls, type SwapCalls } from '../../overflow/index.js';
import { RealClock } from '../../runtime/real-clock.js';
import { openGuestReader, type GuestReader } from '../../signals/guest-reader.js';
import type { SwapSeen } from '../doctor/memory.js';
import { openTier, type OpenedTier } from './overflow-tier.js';
import { startingTunables, type Place, type PlaceOptions } from './place.js';
import { isTierPresent, requireSwap } from './safety-net.js';

export interface XenGuestPlaceOptions extends PlaceOptions {
  /** The two system calls. Given by tests only. */
  readonly swapCalls?: SwapCalls;
}

/**
 * Opens this guest. Throws `SelfballoonError` `ENODEV` where self-ballooning must not run; then nothing has been changed but
 * that configured swap stripes may have been switched on, which is said.
 */
export async function openXenGuestPlace(options: XenGuestPlaceOptions, xen: XenSituation): Promise<Place> {
  const { config, bootOptions } = options;
  const isConfigured = config.overflow.devices.length > 0;
  const startWith = (tierPresent: boolean): Tunables =>
    startingTunables(config.tunables, {
      xenDomain: xen.kind !== 'not-xen',
      initialDomain: xen.kind === 'initial-domain',
      frontswapConfigured: isConfigured,
      tierPresent,
      bootOptions,
    });
  // Asked with the best that can be hoped for, before anything is opened: where even that is refused, nothing is touched.
  startWith(isConfigured);

  const clock = new RealClock();
  const reader = openGuestReader({ root: config.xenGuest.root, now: () => clock.now() });
  try {
    return await openWithNet(options, { clock, reader, startWith });
  } catch (error) {
    reader.close();
    throw error;
  }
}

interface Begun {
  readonly clock: Clock;
  readonly reader: GuestReader;
  readonly startWith: (tierPresent: boolean) => Tunables;
}

async function openWithNet(options: XenGuestPlaceOptions, { clock, reader, startWith }: Begun): Promise<Place> {
  const { config, warn } = options;
  const tier = await openTier({
    config,
    clock,
    swapCalls: options.swapCalls ?? realSwapCalls(),
    kernelReserve: () => reader.read().reserve,
    warn,
  });
  try {
    const net = { isDryRun: config.isDryRun, warn };
    const tunables = startWith(await isTierPresent(tier.stripes, net));
    const { root } = config.xenGuest;
    requireSwap(swapSeen(reader, root), net);
    const alarms = config.pressure.isWatched ? { clock, trigger: config.pressure.trigger, warn } : null;
    return placeOf({ root, clock, reader, tier, tunables, alarms });
  } catch (error) {
    await tier.stripes.close();
    const { switchedOn } = tier;
    if (switchedOn.length > 0) warn(`swap stripes were switched on, and stay on: ${switchedOn.join(', ')}`);
    throw error;
  }
}

function swapSeen(reader: GuestReader, root: string): SwapSeen {
  const balloon = openBalloonFiles(root);
  const sizes = balloon.read();
  balloon.close();
  return { ...reader.read(), ...sizes };
}

interface Parts {
  readonly root: string;
  readonly clock: Clock;
  readonly reader: GuestReader;
  readonly tier: OpenedTier;
  readonly tunables: Tunables;
  readonly alarms: AlarmOptions | null;
}

function placeOf({ root, clock, reader, tier, tunables, alarms }: Parts): Place {
  const guest = openXenGuest({
    root,
    now: () => clock.now(),
    tier: tier.stripes,
    alarms,
    timeLimit: (length) => clock.timeLimit(length),
  });
  return {
    clock,
    hypervisors: [guest],
    hasFrontswap: true,
    tunables,
    isSimulated: false,
    isSmall: true,
    keepTime: null,
    close: async () => {
      try {
        await guest.close();
      } finally {
        await tier.stripes.close();
        reader.close();
      }
    },
  };
}
