/**
 * Where the daemon is, and so what it drives: the one place that names concrete hypervisors. Finding nothing to drive, it takes
 * the embedded simulated host, and watches this machine beside it.
 */
import { detectXen } from '../../hypervisors/xen-guest/detect.js';
import { openEmbeddedPlace } from './embedded-place.js';
import type { Place, PlaceOptions } from './place.js';
import { openXenGuestPlace } from './xen-guest-place.js';

/** Opens what is to be driven here. Throws `SelfballoonError` `ENODEV` where self-ballooning must not run. */
export async function openPlace(options: PlaceOptions): Promise<Place> {
  const { hypervisor, xenGuest } = options.config;
  if (hypervisor === 'embedded') return openEmbeddedPlace(options);
  const xen = detectXen(xenGuest.root);
  if (hypervisor === 'auto' && xen.kind === 'not-xen') return openEmbeddedPlace(options);
  return openXenGuestPlace(options, xen);
}
