/**
 * The two moves between guest and hypervisor, one batch each: increase the reservation and free frames to the guest, or take
 * frames from the guest and decrease the reservation. They do not decide which way to go.
 *
 * Source: specification 2, "The worker".
 */
import { minPages, pages, type Pages } from '../units.js';
import type { Books } from './books.js';
import { BalloonBugError } from './bug.js';
import { countFrames, reverseRun } from './frame-run.js';
import type { BalloonPorts, TakeOptions } from './ports.js';

/** What fits a page of frame numbers: 4096 bytes of 8. */
export const BATCH_PAGES = pages(512);

/** Asks for memory behind up to `wanted` frames of the list, and frees what was granted to the guest. */
export function increaseReservation(books: Books, ports: BalloonPorts, wanted: Pages): 'done' | 'again' {
  const asked = books.list.peek(minPages(wanted, BATCH_PAGES));
  const askedCount = pages(countFrames(asked));
  const answer = ports.reservation.increase(asked, askedCount);
  if (answer.kind === 'failed' || answer.count === 0) return 'again';
  const granted = answer.count;
  if (!Number.isSafeInteger(granted) || granted < 0 || granted > askedCount) {
    throw new BalloonBugError(`the hypervisor granted ${granted} pages where ${askedCount} were asked for`);
  }
  const released = books.release(granted);
  books.countReleased(granted);
  ports.allocator.free(released);
  return 'done';
}

/** Takes up to `wanted` frames from the guest and gives the memory behind them to the hypervisor. */
export function decreaseReservation(
  books: Books,
  ports: BalloonPorts,
  wanted: Pages,
  options: TakeOptions,
): 'done' | 'again' {
  const batch = minPages(wanted, BATCH_PAGES);
  const taken = ports.allocator.take(batch, options);
  const count = pages(countFrames(taken));
  if (count > batch) throw new BalloonBugError(`the allocator gave ${count} pages where ${batch} were asked for`);
  if (count === 0) return 'again';
  for (let at = taken.length - 1; at >= 0; at -= 1) {
    const run = taken[at];
    if (run !== undefined) books.collect(reverseRun(run), 'the allocator');
  }
  books.countCollected(count);
  const given = ports.reservation.decrease(taken, count);
  if (given !== count) throw new BalloonBugError(`the hypervisor took ${given} pages where ${count} were given to it`);
  return count === batch ? 'done' : 'again';
}
