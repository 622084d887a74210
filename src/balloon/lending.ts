/**
 * Lending ballooned pages: other parts of the guest need frames with nothing behind them. It decides where the frames come
 * from and what happens when there are too few; what the borrower does with them is not its business.
 *
 * Source: specification 2, "Lending ballooned pages" and "Where we differ on purpose".
 */
import { addPages, pages, subtractPages, type Pages } from '../units.js';
import type { Books } from './books.js';
import { appendRun, countFrames, type FrameRun } from './frame-run.js';
import { reserveAdditionalMemory } from './growth.js';
import type { BalloonPorts } from './ports.js';
import { decreaseReservation } from './resize.js';

/** What came of a loan: all of it or nothing. */
export type LendOutcome =
  /** The frames lent, in the order in which they left the list. */
  | { readonly kind: 'lent'; readonly runs: readonly FrameRun[] }
  /** ENOMEM. Nothing is lent and nothing is owed. */
  | { readonly kind: 'out-of-memory' };

/** Lends `count` low frames, or none. */
export function lendFrames(books: Books, ports: BalloonPorts, count: Pages): LendOutcome {
  books.targetUnpopulated = addPages(books.targetUnpopulated, count);
  const lent: FrameRun[] = [];
  let missing: number = count;
  while (missing > 0) {
    const runs = books.lend(pages(missing));
    for (const run of runs) appendRun(lent, run);
    missing -= countFrames(runs);
    if (runs.length === 0 && !addBallooned(books, ports, pages(missing))) {
      books.returnLent(lent);
      settleLoan(books, ports, count);
      return { kind: 'out-of-memory' };
    }
  }
  return { kind: 'lent', runs: lent };
}

/** Lent frames come back. Throws `BalloonBugError`, and changes nothing, unless all of them are lent. */
export function takeBackFrames(books: Books, ports: BalloonPorts, runs: readonly FrameRun[]): void {
  books.returnLent(runs);
  settleLoan(books, ports, pages(countFrames(runs)));
}

/** The balloon may be larger than the target wants it, now that frames came back. */
function settleLoan(books: Books, ports: BalloonPorts, count: Pages): void {
  books.targetUnpopulated = subtractPages(books.targetUnpopulated, count);
  if (books.credit !== 0) ports.schedule(0);
}

/** Gets more frames on the list. False when there are none to be had. */
function addBallooned(books: Books, ports: BalloonPorts, missing: Pages): boolean {
  const { hotplug } = ports;
  if (hotplug !== null && books.hotplugUnpopulated && reserveAdditionalMemory(books, hotplug) !== 'cancelled') {
    const online = hotplug.waitOnline();
    for (const run of online) {
      books.arrive(run);
      ports.schedule(0);
    }
    if (online.length > 0) return true;
    // Waiting for the list to fill would never end: it holds high memory, which is no use to the borrower.
    if (books.list.length > 0) return false;
    // An empty list and nothing to wait for: the guest is above its target, so what is missing is the guest's to give.
  }
  return decreaseReservation(books, ports, missing, { tryHard: true }) === 'done';
}
