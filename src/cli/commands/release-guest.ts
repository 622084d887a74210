/** Gives memory back to this Xen guest where no daemon runs, by its own balloon: after one was killed, or when it is being removed. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../config/index.js';
import { ceilingNow, NO_LIMITS } from '../../control/limits.js';
import type { GuestDescription, Hypervisor, ReadOutcome } from '../../control/ports.js';
import type { Reading } from '../../control/reading.js';
import { errorText, SelfballoonError } from '../../errors.js';
import { openXenGuest } from '../../hypervisors/xen-guest/client.js';
import { CALL_TIME_LIMIT } from '../../runtime/executor.js';
import { RealClock } from '../../runtime/real-clock.js';
import { guestSize, maxPages, millis, NO_PAGES, pagesToMibDown, type Pages } from '../../units.js';

/** Longer than a look takes, and than a balloon stands still on its way. */
const REST_PAUSE_MS = 200;

/** Returns a sentence that says what was done. Rejects with `SelfballoonError` where the most that it may have cannot be known. */
export async function releaseGuest({ xenGuest, guestLimits, isDryRun }: Config): Promise<string> {
  if (isDryRun) return 'no daemon answers; dry_run is set, so nothing was asked for';
  const clock = new RealClock();
  const port = openXenGuest({ root: xenGuest.root, now: () => clock.now(), tier: null });
  try {
    const limit = AbortSignal.timeout(millis(CALL_TIME_LIMIT));
    const guest = await firstGuest(port, limit);
    const reading = await readingAtRest(port, guest, limit);
    const target = mostOf(reading, guestLimits[guest.id] ?? guestLimits[guest.name] ?? NO_LIMITS);
    await port.setTarget(guest.id, guestSize(target), limit);
    return `no daemon answers; the balloon was told to give everything back, up to ${pagesToMibDown(target)} MiB`;
  } finally {
    await port.close();
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

function maximumUnknown(guest: string, outcome: ReadOutcome | undefined): SelfballoonError {
  const seen =
    outcome?.kind === 'reading' && !outcome.reading.maximum.known
      ? outcome.reading.maximum.detail
      : errorText(outcome?.kind === 'reading-failed' ? outcome.error : 'nothing was read');
  const message = `cannot give memory back, because the most that it may have is not known (${seen})`;
  return new SelfballoonError({ code: 'EIO', guest, message, advice: 'Set its size from the host' });
}
