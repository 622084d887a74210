/** What all places have in common that are a host whose guests are driven from outside. */
import type { Config } from '../../config/index.js';
import type { Clock, Hypervisor } from '../../control/ports.js';
import { hostPolicy } from '../../policies/index.js';
import type { Place } from './place.js';

/** The place that is `host`, which is closed with it. */
export const hostPlace = (config: Config, clock: Clock, host: Hypervisor): Place => ({
  clock,
  hypervisors: [host],
  // Guests' swap is their own: nothing of it can be shrunk from here.
  hasFrontswap: false,
  tunables: { ...config.tunables, frontswap_selfshrinking: 0 },
  policy: hostPolicy,
  isSimulated: false,
  isHost: true,
  keepTime: null,
  close: () => host.close(),
});
