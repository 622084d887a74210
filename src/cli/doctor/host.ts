/** Can a Xen host be driven from here: is xenstored to be reached, is the host's memory to be seen, who reports? */
import type { Config, XenSight } from '../../config/index.js';
import { errorText } from '../../errors.js';
import type { XenSituation } from '../../hypervisors/xen-guest/detect.js';
import { DOMAINS, homeOf, NODES, parseDomid } from '../../hypervisors/xen-host/codec.js';
import { openLimitSetter } from '../../hypervisors/xen-host/xenctrl.js';
import type { SightSource } from '../../hypervisors/xen-host/sight.js';
import { openXlSight } from '../../hypervisors/xen-host/xl-sight.js';
import { openXenstat } from '../../hypervisors/xen-host/xenstat.js';
import { RealClock } from '../../runtime/real-clock.js';
import { millis } from '../../units.js';
import { connectUnixSocket, openXenstore, XenstoreError, type Xenstore } from '../../xenstore/index.js';
import { fail, ok, warn, type Finding } from './finding.js';

const LIMIT = millis(5_000);

/** Looks only; nothing is asked of any domain. */
export async function checkHost(xen: XenSituation, { xenHost }: Config): Promise<readonly Finding[]> {
  if (xen.kind !== 'initial-domain') {
    return [fail(`this is not dom0, the initial domain of a Xen host (${xen.seen})`, 'Run it in dom0')];
  }
  return [
    ok(`this is dom0 (${xen.seen})`),
    ...(await checkStore(xenHost.socket)),
    await checkSight(xenHost.sight),
    await checkLimits(),
  ];
}

async function checkStore(socket: string): Promise<readonly Finding[]> {
  const clock = new RealClock();
  try {
    const transport = await connectUnixSocket(socket, clock.timeLimit(LIMIT));
    const store = openXenstore({ transport, clock });
    try {
      return [ok(`xenstored answers at ${socket}`), await checkReporters(store)];
    } finally {
      await store.close();
    }
  } catch (error) {
    return [fail(`xenstored does not answer at ${socket}: ${errorText(error)}`, adviceFor(error))];
  }
}

/** One that hangs must not be started again: what domains wait for would be lost. */
function adviceFor(error: unknown): string {
  const advice = (error instanceof XenstoreError ? error.advice : undefined) ?? 'Is it running?';
  return `If that is not its socket, set xen_host.socket. ${advice}`;
}

async function checkReporters(store: Xenstore): Promise<Finding> {
  const domains = (await store.list(DOMAINS)).map(parseDomid).filter((domid) => domid !== null && domid !== 0);
  const reporting = await Promise.all(domains.map((domid) => reports(store, domid ?? 0)));
  const count = reporting.filter((isReporting) => isReporting).length;
  const what = `${count} of ${domains.length} guests have a report in xenstore`;
  if (count === domains.length) return ok(what);
  return warn(what, 'Run selfballoon report in the others; without it they are left alone, but for their limits');
}

async function reports(store: Xenstore, domid: number): Promise<boolean> {
  for (const node of [NODES.report, NODES.used]) {
    try {
      await store.read(`${homeOf(domid)}/${node}`);
      return true;
    } catch (error) {
      if (!(error instanceof XenstoreError && error.xenstoreCode === 'ENOENT')) throw error;
    }
  }
  return false;
}

/** `auto` takes the library, and the tools where that does not work. */
async function checkSight(asked: XenSight): Promise<Finding> {
  if (asked === 'xl') return lookWith(openXlSight);
  const byLibrary = await lookWith(openXenstat);
  if (byLibrary.level === 'ok' || asked !== 'auto') return byLibrary;
  const byTools = await lookWith(openXlSight);
  if (byTools.level !== 'ok') return fail(`${byLibrary.what}; ${byTools.what}`, 'Mend one of the two');
  return warn(byLibrary.what, `The xl tools are used instead, three processes for each look: ${byTools.what}`);
}

async function lookWith(open: () => SightSource | Promise<SightSource>): Promise<Finding> {
  try {
    const sight = await open();
    try {
      const { free, total } = await sight.look(AbortSignal.timeout(LIMIT));
      const mib = (size: number): number => Math.floor(size / 1024);
      return ok(`the host is seen by ${sight.description}: ${mib(free)} of ${mib(total)} MiB are free`);
    } finally {
      await sight.close();
    }
  } catch (error) {
    return fail(`the host's memory cannot be seen: ${errorText(error)}`, 'Set xen_host.sight to auto, or mend this');
  }
}

async function checkLimits(): Promise<Finding> {
  try {
    (await openLimitSetter()).close();
    return ok("Xen's own limits can be moved: domains can grow past what they booted with");
  } catch (error) {
    return warn(`Xen's own limits cannot be moved: ${errorText(error)}`, 'No domain grows past what it booted with');
  }
}
