/**
 * The QEMU machines of this host as the place to run in: each through its own monitor, the host's memory through `/proc`. Nothing
 * is asked of any machine while it is opened.
 */
import { SelfballoonError } from '../../errors.js';
import { openQmpHost } from '../../hypervisors/qmp/client.js';
import { findSockets } from '../../hypervisors/qmp/socket-patterns.js';
import { connectQmp } from '../../qmp/index.js';
import { RealClock } from '../../runtime/real-clock.js';
import { millis } from '../../units.js';
import { hostPlace } from './host-place.js';
import type { Place, PlaceOptions } from './place.js';

/** Opens this host. Throws `SelfballoonError`: `ECONFIG` where no sockets are configured. */
export function openQmpPlace({ config, warn }: PlaceOptions): Place {
  const { sockets, reserve, asksAgent, hearsOwn } = config.qmp;
  if (sockets.length === 0) throw noSockets();
  const clock = new RealClock();
  const host = openQmpHost({
    clock,
    wall: () => millis(Date.now()),
    findSockets: tellingOfNone(sockets, warn),
    connect: (path, events, signal) => connectQmp(path, { clock, events }, signal),
    root: config.xenGuest.root,
    reserve,
    inside: { asksAgent, hearsOwn },
    switchesPolling: !config.isDryRun,
    tell: warn,
  });
  return hostPlace(config, clock, host);
}

/** Finds the sockets; where there are none at first, says so once: nothing else would. */
function tellingOfNone(patterns: readonly string[], warn: (text: string) => void): () => Promise<readonly string[]> {
  let isFirst = true;
  return async () => {
    const found = await findSockets(patterns);
    if (isFirst && found.length === 0) {
      warn(
        `no socket is seen at ${patterns.join(', ')}; selfballoon doctor says why. It is looked for again every 2 s`,
      );
    }
    isFirst = false;
    return found;
  };
}

const noSockets = (): SelfballoonError =>
  new SelfballoonError({
    code: 'ECONFIG',
    message: 'not started: the configuration names no monitors of QEMU',
    advice:
      'Set qmp.sockets, for example to ["/run/qemu/*.qmp"], and start each QEMU with -qmp unix:PATH,server=on,wait=off',
  });
