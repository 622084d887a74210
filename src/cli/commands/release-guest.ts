/**
 * Gives memory back to this Xen guest where no daemon runs, by its own balloon, and switches on again swap stripes that are off: after a
 * daemon was killed, perhaps with one of them in hand, or when it is being removed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../config/index.js';
import { ceilingNow, limitsFor, NO_LIMITS } from '../../control/limits.js';
import {
  CALL_TIME_LIMIT,
  type Clock,
  type GuestDescription,
  type Hypervisor,
  type ReadOutcome,
} from '../../control/ports.js';
import type { Reading } from '../../control/reading.js';
import { NOT_REPORTED } from '../../control/signal.js';
import { errorText, SelfballoonError } from '../../errors.js';
import { openBalloonFiles } from '../../hypervisors/xen-guest/balloon-files.js';
import { openXenGuest } from '../../hypervisors/xen-guest/client.js';
import { realSwapCalls, type SwapCalls } from '../../overflow/index.js';
import { RealClock } from '../../runtime/real-clock.js';
import { guestSize, maxPages, millis, NO_PAGES, pagesToMibDown, type Millis, type Pages } from '../../units.js';
import { openTier } from '../daemon/overflow-tier.js';

/** Longer than a look takes, and than a balloon stands still on its way. */
const REST_PAUSE_MS = 200;

/** How long a stripe is waited for that a tool still empties: with everything else less than a unit's stop may take. */
const LEAVING_MAX = millis(15_000);

type TimeLimit = (length: Millis) => AbortSignal;

export interface ReleaseGuestOptions {
  /** Told of stripes that cannot be switched on. */
  readonly warn: (text: string) => void;
  /** The two system calls. Given by tests only. */
  readonly swapCalls?: SwapCalls;
  /** A signal that is aborted that much later. Given by tests only. */
  readonly timeLimit?: TimeLimit;
}

/**
 * Returns a sentence that says what was done. Rejects with `SelfballoonError` where the most that it may have cannot be known; the
 * stripes are seen to also then, and what goes wrong there is only told.
 */
export async function releaseGuest(config: Config, options: ReleaseGuestOptions): Promise<string> {
  if (config.isDryRun) return 'no daemon answers; dry_run is set, so nothing was asked for';
  const clock = new RealClock();
  const switchedOn: string[] = [];
  let given: string;
  try {
    given = await emptyBalloon(config, clock, options.timeLimit ?? ((length) => AbortSignal.timeout(length)));
  } finally {
    const failed = (error: unknown): readonly string[] => {
      options.warn(errorText(error));
      return [];
    };
    switchedOn.push(...(await switchStripesOn(config, clock, options).catch(failed)));
  }
  const stripes = switchedOn.length === 0 ? '' : `; swap stripes were switched on again: ${switchedOn.join(', ')}`;
  return `no daemon answers; ${given}${stripes}`;
}

/** Returns those that were off. */
async function switchStripesOn(config: Config, clock: Clock, options: ReleaseGuestOptions): Promise<readonly string[]> {
  if (config.overflow.devices.length === 0) return [];
  const { warn, swapCalls = realSwapCalls() } = options;
  // Nothing is emptied here, so that nobody asks what the kernel keeps for itself.
  const { stripes, switchedOn } = await openTier({ config, clock, swapCalls, kernelReserve: () => NOT_REPORTED, warn });
  const leaving = (): readonly string[] =>
    stripes.report().flatMap(({ device, state }) => (state === 'leaving' ? [device] : []));
  const until = clock.now() + LEAVING_MAX;
  while (leaving().length > 0 && clock.now() < until) {
    await sleep(REST_PAUSE_MS);
    await stripes.read();
  }
  for (const device of leaving())
    warn(`swap stripe ${device}: a swapoff that the daemon has left behind is still at work; then: swapon ${device}`);
  await stripes.close();
  return switchedOn;
}

async function emptyBalloon({ xenGuest, guestLimits }: Config, clock: Clock, timeLimit: TimeLimit): Promise<string> {
  const { root } = xenGuest;
  const port = openXenGuest({ root, now: () => clock.now(), tier: null });
  try {
    const limit = timeLimit(millis(CALL_TIME_LIMIT));
    const guest = await firstGuest(port, limit);
    const target = await orAsBefore({ port, guest, root, timeLimit }, async () => {
      const reading = await readingAtRest(port, guest, limit);
      const most = mostOf(reading, limitsFor(guestLimits, guest) ?? NO_LIMITS);
      await port.setTarget(guest.id, guestSize(most), limit);
      return most;
    });
    return `the balloon was told to give everything back, up to ${pagesToMibDown(target)} MiB`;
  } finally {
    await port.close();
  }
}

interface Balloon {
  readonly port: Hypervisor;
  readonly guest: GuestDescription;
  readonly root: string;
  readonly timeLimit: TimeLimit;
}

/** Where `work` fails, the balloon may have been stopped below what it was told to keep: it is told so again, and never less. */
async function orAsBefore<T>({ port, guest, root, timeLimit }: Balloon, work: () => Promise<T>): Promise<T> {
  const files = openBalloonFiles(root);
  const { target, current } = files.read();
  files.close();
  try {
    return await work();
  } catch (error) {
    // On its way down it was stopped above its target, and keeps that.
    if (target.known && !(current.known && current.value > target.value)) {
      const limit = timeLimit(millis(CALL_TIME_LIMIT));
      await port.setTarget(guest.id, guestSize(target.value), limit).catch((why: unknown) => {
        throw notAsBefore(error, why);
      });
    }
    throw error;
  }
}

async function firstGuest(port: Hypervisor, limit: AbortSignal): Promise<GuestDescription> {
  for await (const notice of port.watchGuests(limit)) if (notice.kind === 'guest-came') return notice.guest;
  throw new SelfballoonError({ code: 'ETIMEDOUT', message: 'the guest did not show itself in time' });
}

/**
 * A reading that has the maximum. Only at rest what a balloon counts adds up: one that a daemon has left on its way, which takes a large
 * guest many seconds, is stopped where it is.
 */
async function readingAtRest(port: Hypervisor, { id }: GuestDescription, limit: AbortSignal): Promise<Reading> {
  for (;;) {
    const outcomes: ReadOutcome[] = [];
    await port.read([id], (outcome) => outcomes.push(outcome), limit);
    const [outcome] = outcomes;
    if (outcome?.kind === 'reading' && outcome.reading.maximum.known) return outcome.reading;
    if (limit.aborted || outcome?.kind !== 'reading' || !outcome.reading.current.known)
      throw maximumUnknown(id, outcome);
    await port.setTarget(id, guestSize(outcome.reading.current.value), limit);
    await sleep(REST_PAUSE_MS);
  }
}

/** As the daemon on its way out: up to the administrator's ceiling, and nothing is taken. */
function mostOf({ current, maximum }: Reading, limits: Parameters<typeof ceilingNow>[0]): Pages {
  const held = current.known ? current.value : NO_PAGES;
  return maxPages(held, ceilingNow(limits, maximum) ?? held);
}

function notAsBefore(error: unknown, why: unknown): SelfballoonError {
  const message = `${errorText(error)}; nor could its target be set again as it was: ${errorText(why)}`;
  return new SelfballoonError({ code: 'EIO', message, cause: error });
}

function maximumUnknown(guest: string, outcome: ReadOutcome | undefined): SelfballoonError {
  const seen =
    outcome?.kind === 'reading' && !outcome.reading.maximum.known
      ? outcome.reading.maximum.detail
      : errorText(outcome?.kind === 'reading-failed' ? outcome.error : 'nothing was read');
  const message = `cannot give memory back, because the most that it may have is not known (${seen})`;
  return new SelfballoonError({ code: 'EIO', guest, message, advice: 'Set its size from the host' });
}
