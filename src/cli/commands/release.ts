/**
 * `selfballoon release`: gives all memory back. A running daemon does it; where none runs (it was killed, or is being removed),
 * a Xen guest's balloon is emptied directly, and a host's guests are given back what they may have.
 */
import { loadConfig, type HypervisorChoice } from '../../config/index.js';
import { errorText, SelfballoonError } from '../../errors.js';
import { openXenGuest } from '../../hypervisors/xen-guest/client.js';
import { detectXen } from '../../hypervisors/xen-guest/detect.js';
import type { ReadOutcome } from '../../control/ports.js';
import { guestSize, millis, pagesToMibDown } from '../../units.js';
import { CALL_TIME_LIMIT } from '../../runtime/executor.js';
import { RealClock } from '../../runtime/real-clock.js';
import { ask, type AskFlags } from './ask.js';

export interface ReleaseFlags extends AskFlags {
  readonly hypervisor?: string;
}

/** Whole hosts, whose guests are driven from outside. */
const HOSTS: ReadonlySet<HypervisorChoice> = new Set(['xen-host', 'qmp', 'libvirt']);

/** Returns a sentence that says what was done. */
export async function releaseAll(flags: ReleaseFlags): Promise<string> {
  try {
    await ask(flags, 'POST', '/v1/release');
    return 'the daemon gives everything back; selfballooning is 0 now';
  } catch (error) {
    if (!(error instanceof SelfballoonError && error.code === 'EUNAVAILABLE')) throw error;
    return releaseDirectly(flags, error);
  }
}

async function releaseDirectly(flags: ReleaseFlags, noDaemon: SelfballoonError): Promise<string> {
  const { config } = await loadConfig({
    file: flags.config ?? null,
    env: process.env,
    flags: flags.hypervisor === undefined ? {} : { hypervisor: flags.hypervisor },
  });
  const { root } = config.xenGuest;
  if (HOSTS.has(config.hypervisor)) {
    const [{ openPlace }, { releaseHost }] = await Promise.all([
      import('../daemon/find-place.js'),
      import('./release-host.js'),
    ]);
    const place = await openPlace({ config, bootOptions: [], warn: console.error });
    return releaseHost(place, config, console.error);
  }
  if (detectXen(root).kind !== 'guest') {
    throw new SelfballoonError({
      code: 'EUNAVAILABLE',
      message: 'no daemon answers, and this is not a Xen guest whose balloon could be emptied directly',
      advice:
        'In dom0 say --hypervisor xen-host, on a host of QEMU machines --hypervisor libvirt or qmp. Elsewhere start the daemon and stop it again: on its way out it gives everything back',
      cause: noDaemon,
    });
  }
  const clock = new RealClock();
  const guest = openXenGuest({ root, now: () => clock.now(), tier: null });
  try {
    return await emptyBalloon(guest);
  } finally {
    await guest.close();
  }
}

async function emptyBalloon(guest: ReturnType<typeof openXenGuest>): Promise<string> {
  const limit = AbortSignal.timeout(millis(CALL_TIME_LIMIT));
  for await (const notice of guest.watchGuests(limit)) {
    if (notice.kind !== 'guest-came') continue;
    const { id } = notice.guest;
    const outcomes: ReadOutcome[] = [];
    await guest.read([id], (outcome) => outcomes.push(outcome), limit);
    const [outcome] = outcomes;
    if (outcome?.kind !== 'reading' || !outcome.reading.maximum.known) throw maximumUnknown(id, outcome);
    const maximum = outcome.reading.maximum.value;
    await guest.setTarget(id, guestSize(maximum), limit);
    return `no daemon answers; the balloon was told to give everything back, up to ${pagesToMibDown(maximum)} MiB`;
  }
  throw new SelfballoonError({ code: 'ETIMEDOUT', message: 'the guest did not show itself in time' });
}

function maximumUnknown(guest: string, outcome: ReadOutcome | undefined): SelfballoonError {
  const seen =
    outcome?.kind === 'reading' && !outcome.reading.maximum.known
      ? outcome.reading.maximum.detail
      : errorText(outcome?.kind === 'reading-failed' ? outcome.error : 'nothing was read');
  const message = `cannot give memory back, because the most that it may have is not known (${seen})`;
  return new SelfballoonError({ code: 'EIO', guest, message, advice: 'Set its size from the host' });
}
