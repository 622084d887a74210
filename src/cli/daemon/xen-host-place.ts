/**
 * A whole Xen host as the place to run in, from its dom0: domains through xenstore, the host's memory through libxenstat or the xl
 * tool. Nothing is asked of any domain while it is opened.
 */
import type { Config } from '../../config/index.js';
import { errorText, SelfballoonError } from '../../errors.js';
import { openXenHost } from '../../hypervisors/xen-host/client.js';
import type { SightSource } from '../../hypervisors/xen-host/sight.js';
import { openLimitSetter, type LimitSetter } from '../../hypervisors/xen-host/xenctrl.js';
import { openXlSight } from '../../hypervisors/xen-host/xl-sight.js';
import { openXenstat } from '../../hypervisors/xen-host/xenstat.js';
import type { XenSituation } from '../../hypervisors/xen-guest/detect.js';
import { RealClock } from '../../runtime/real-clock.js';
import { millis } from '../../units.js';
import { connectUnixSocket, openXenstore, type Xenstore } from '../../xenstore/index.js';
import { hostPlace } from './host-place.js';
import type { Place, PlaceOptions } from './place.js';

/** Opens this host. Throws `SelfballoonError`: `ENODEV` where this is no dom0 or nothing sees its memory, and xenstored's own. */
export async function openXenHostPlace({ config, warn }: PlaceOptions, xen: XenSituation): Promise<Place> {
  requireDom0(xen);
  const clock = new RealClock();
  const { socket, reserve, isDom0Driven, dom0Min } = config.xenHost;
  const connect = async (signal: AbortSignal): Promise<Xenstore> =>
    openXenstore({ transport: await connectUnixSocket(socket, signal), clock });
  // A daemon that could not ask for anything must not start as if all were well.
  await (await connect(clock.timeLimit(CONNECT_LIMIT))).close();
  const host = openXenHost({
    clock,
    connect,
    sight: await openSight(config, warn),
    limits: await openLimits(warn),
    reserve,
    dom0: {
      isDriven: isDom0Driven,
      floor: dom0Min,
      root: config.xenGuest.root,
      alarms: config.pressure.isWatched ? { trigger: config.pressure.trigger, warn } : null,
    },
    tell: warn,
  });
  return hostPlace(config, clock, host);
}

const CONNECT_LIMIT = millis(5_000);

function requireDom0(xen: XenSituation): void {
  if (xen.kind === 'initial-domain') return;
  throw new SelfballoonError({
    code: 'ENODEV',
    message: `not started: a Xen host is driven from its initial domain (dom0), and this is not it (${xen.seen})`,
    advice: 'Run it in dom0; inside a guest say --hypervisor xen-guest',
  });
}

/** Without it the targets still work, up to the limits that are set already. */
async function openLimits(warn: (message: string) => void): Promise<LimitSetter | null> {
  try {
    return await openLimitSetter();
  } catch (error) {
    warn(`${errorText(error)}. Xen's own limits stay as they are, and no domain grows past its limit`);
    return null;
  }
}

async function openSight({ xenHost }: Config, warn: (message: string) => void): Promise<SightSource> {
  if (xenHost.sight === 'xl') return openXlSight();
  try {
    return await openXenstat();
  } catch (error) {
    if (xenHost.sight === 'libxenstat') throw error;
    warn(`${errorText(error)}. The xl tool is used instead, which costs three processes for each look`);
    return openXlSight();
  }
}
