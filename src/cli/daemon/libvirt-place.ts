/**
 * The domains of this host that libvirt runs as the place to run in: through virsh, the host's memory through `/proc`. Nothing is asked
 * of any domain while it is opened.
 */
import { openLibvirtHost } from '../../hypervisors/libvirt/client.js';
import { RealClock } from '../../runtime/real-clock.js';
import { millis } from '../../units.js';
import { openVirsh } from '../../virsh/index.js';
import { hostPlace } from './host-place.js';
import type { Place, PlaceOptions } from './place.js';

const CONNECT_LIMIT = millis(5_000);
const silent = { onEvent: () => undefined, onGap: () => undefined };

/** Opens this host. Throws `SelfballoonError` where libvirt cannot be reached or lets this user only look. */
export async function openLibvirtPlace({ config, warn }: PlaceOptions): Promise<Place> {
  const clock = new RealClock();
  const { uri, reserve, asksAgent, hearsOwn } = config.libvirt;
  // A daemon that could not ask for anything must not start as if all were well.
  await (await openVirsh({ uri, clock, ...silent }, clock.timeLimit(CONNECT_LIMIT))).close();
  const host = openLibvirtHost({
    clock,
    wall: () => millis(Date.now()),
    uri,
    connect: (listener, signal) => openVirsh({ uri, clock, ...listener }, signal),
    root: config.xenGuest.root,
    reserve,
    inside: { asksAgent, hearsOwn },
    switchesPolling: !config.isDryRun,
    tell: warn,
  });
  return hostPlace(config, clock, host);
}
