/** The embedded simulated host as the place to run in, with this machine watched beside it. */
import { createEmbeddedHypervisor } from '../../hypervisors/embedded/embedded.js';
import { openThisMachine } from '../../hypervisors/this-machine/this-machine.js';
import { embeddedHost, keepPace, VirtualClock } from '../../sim/index.js';
import { millis } from '../../units.js';
import { startingTunables, type Place, type PlaceOptions } from './place.js';

/** The simulated host has what the old driver asked for: Xen's interface and a frontswap over tmem. */
const SIMULATED_SITUATION = {
  xenDomain: true,
  initialDomain: false,
  frontswapConfigured: true,
  tierPresent: true,
} as const;

export function openEmbeddedPlace({ config, bootOptions }: PlaceOptions): Place {
  const { seed, hostMib, speed, showThisMachine } = config.embedded;
  const clock = new VirtualClock(millis(Date.now()));
  const host = embeddedHost({ seed, hostMib, startAt: clock.now() });
  const embedded = createEmbeddedHypervisor({ host, clock });
  const watched = showThisMachine ? [openThisMachine({ now: () => clock.now() })] : [];
  const hypervisors = [embedded, ...watched];
  return {
    clock,
    hypervisors,
    hasFrontswap: true,
    tunables: startingTunables(config.tunables, { ...SIMULATED_SITUATION, bootOptions }),
    isSimulated: true,
    keepTime: (signal) => keepPace(clock, { speed }, signal),
    close: async () => {
      for (const hypervisor of hypervisors) await hypervisor.close();
    },
  };
}
