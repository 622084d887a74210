/**
 * Where the daemon is, and so what it drives: the one place that names concrete hypervisors. Finding nothing to drive, it takes
 * the embedded simulated host, and watches this machine beside it.
 *
 * Only the place that is taken is loaded: the simulated host alone is 2.7 MiB, which a small guest has better use for.
 */
import { detectXen } from '../../hypervisors/xen-guest/detect.js';
import type { Place, PlaceOptions } from './place.js';

/** Opens what is to be driven here. Throws `SelfballoonError` `ENODEV` where self-ballooning must not run. */
export async function openPlace(options: PlaceOptions): Promise<Place> {
  const { hypervisor, xenGuest } = options.config;
  if (hypervisor === 'embedded') return openEmbedded(options);
  if (hypervisor === 'qmp') {
    const { openQmpPlace } = await import('./qmp-place.js');
    return openQmpPlace(options);
  }
  if (hypervisor === 'libvirt') {
    const { openLibvirtPlace } = await import('./libvirt-place.js');
    return openLibvirtPlace(options);
  }
  const xen = detectXen(xenGuest.root);
  if (hypervisor === 'xen-host') {
    const { openXenHostPlace } = await import('./xen-host-place.js');
    return openXenHostPlace(options, xen);
  }
  if (hypervisor === 'auto' && xen.kind === 'not-xen') return openEmbedded(options);
  const { openXenGuestPlace } = await import('./xen-guest-place.js');
  return openXenGuestPlace(options, xen);
}

async function openEmbedded(options: PlaceOptions): Promise<Place> {
  const { openEmbeddedPlace } = await import('./embedded-place.js');
  return openEmbeddedPlace(options);
}
