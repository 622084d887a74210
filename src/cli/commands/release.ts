/**
 * `selfballoon release`: gives all memory back. A running daemon does it; where none runs (it was killed, or is being removed),
 * a Xen guest's balloon is emptied directly, and a host's guests are given back what they may have.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { loadConfig, type HypervisorChoice } from '../../config/index.js';
import { errorText, SelfballoonError } from '../../errors.js';
import { openXenGuest } from '../../hypervisors/xen-guest/client.js';
import { detectXen } from '../../hypervisors/xen-guest/detect.js';
import type { Hypervisor, ReadOutcome } from '../../control/ports.js';
import type { GuestId } from '../../control/reading.js';
import { guestSize, millis, pagesToMibDown, type Pages } from '../../units.js';
import { CALL_TIME_LIMIT } from '../../runtime/executor.js';
import { RealClock } from '../../runtime/real-clock.js';
import { defaultSocketPath } from '../../server/socket-path.js';
import { ask, type AskFlags } from './ask.js';

export interface ReleaseFlags extends AskFlags {
  readonly hypervisor?: string;
}

/** Longer than a look takes, and than a balloon stands still on its way. */
const REST_PAUSE_MS = 200;

/** Whole hosts, whose guests are driven from outside. */
const HOSTS: ReadonlySet<HypervisorChoice> = new Set(['xen-host', 'qmp', 'libvirt']);

/** What `release` does without a configuration. */
export interface ReleaseDefaults {
  /** Where the machine's files are looked for. Default: `/`. */
  readonly root?: string;
  /** Where a daemon is asked. Default: where one answers that was configured nowhere. */
  readonly socket?: string;
  readonly warn?: (text: string) => void;
}

/** Returns a sentence that says what was done. */
export async function releaseAll(flags: ReleaseFlags, defaults: ReleaseDefaults = {}): Promise<string> {
  try {
    return await askOrRelease(flags, (noDaemon) => releaseConfigured(flags, noDaemon));
  } catch (error) {
    if (codeOf(error) !== 'ECONFIG') throw error;
    return releaseUnconfigured(flags, error, defaults);
  }
}

async function askOrRelease(flags: ReleaseFlags, release: (noDaemon: unknown) => Promise<string>): Promise<string> {
  try {
    await ask(flags, 'POST', '/v1/release');
    return 'the daemon gives everything back; selfballooning is 0 now';
  } catch (error) {
    if (codeOf(error) !== 'EUNAVAILABLE') throw error;
    return release(error);
  }
}

const codeOf = (error: unknown): string | null => (error instanceof SelfballoonError ? error.code : null);

/**
 * With a configuration that cannot be used, which may be why the daemon has ended: what a Xen guest gave up needs nothing from it to be
 * given back. Everybody else's needs to be known from it, and `broken` is thrown.
 */
async function releaseUnconfigured(flags: ReleaseFlags, broken: unknown, defaults: ReleaseDefaults): Promise<string> {
  const { root = '/', warn = console.error } = defaults;
  const isForGuest = flags.hypervisor === undefined || flags.hypervisor === 'xen-guest';
  if (!isForGuest || detectXen(root).kind !== 'guest') throw broken;
  warn(`${errorText(broken)}; so this guest's memory is given back without the configuration`);
  const socket = flags.socket ?? defaults.socket ?? defaultSocketPath(process.env);
  return askOrRelease({ ...flags, socket }, () => releaseGuest(root));
}

async function releaseConfigured(flags: ReleaseFlags, noDaemon: unknown): Promise<string> {
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
  return releaseGuest(root);
}

async function releaseGuest(root: string): Promise<string> {
  const clock = new RealClock();
  const guest = openXenGuest({ root, now: () => clock.now(), tier: null });
  try {
    return await emptyBalloon(guest);
  } finally {
    await guest.close();
  }
}

async function emptyBalloon(guest: Hypervisor): Promise<string> {
  const limit = AbortSignal.timeout(millis(CALL_TIME_LIMIT));
  for await (const notice of guest.watchGuests(limit)) {
    if (notice.kind !== 'guest-came') continue;
    const { id } = notice.guest;
    const maximum = await maximumAtRest(guest, id, limit);
    await guest.setTarget(id, guestSize(maximum), limit);
    return `no daemon answers; the balloon was told to give everything back, up to ${pagesToMibDown(maximum)} MiB`;
  }
  throw new SelfballoonError({ code: 'ETIMEDOUT', message: 'the guest did not show itself in time' });
}

/** A balloon that a daemon has left on its way comes to rest, and only then what it counts adds up. */
async function maximumAtRest(guest: Hypervisor, id: GuestId, limit: AbortSignal): Promise<Pages> {
  for (;;) {
    const outcomes: ReadOutcome[] = [];
    await guest.read([id], (outcome) => outcomes.push(outcome), limit);
    const [outcome] = outcomes;
    if (outcome?.kind === 'reading' && outcome.reading.maximum.known) return outcome.reading.maximum.value;
    if (limit.aborted || outcome?.kind !== 'reading') throw maximumUnknown(id, outcome);
    await sleep(REST_PAUSE_MS);
  }
}

function maximumUnknown(guest: string, outcome: ReadOutcome | undefined): SelfballoonError {
  const seen =
    outcome?.kind === 'reading' && !outcome.reading.maximum.known
      ? outcome.reading.maximum.detail
      : errorText(outcome?.kind === 'reading-failed' ? outcome.error : 'nothing was read');
  const message = `cannot give memory back, because the most that it may have is not known (${seen})`;
  return new SelfballoonError({ code: 'EIO', guest, message, advice: 'Set its size from the host' });
}
