/**
 * The balloon driver: obeys one target, lends frames, and takes memory that comes online. It has no clock and does no I/O:
 * the ports do, and whoever owns it calls `runWorker` when `schedule` asked for it. It obeys any target; that a target is
 * good for the guest is the controllers' business.
 *
 * Source: specification 2.
 */
import { pages, type Pages } from '../units.js';
import { Books, type BalloonOptions, type BalloonStats } from './books.js';
import { BalloonBugError } from './bug.js';
import type { FrameRun } from './frame-run.js';
import { reserveAdditionalMemory } from './growth.js';
import { lendFrames, takeBackFrames, type LendOutcome } from './lending.js';
import type { BalloonPorts } from './ports.js';
import { decreaseReservation, increaseReservation } from './resize.js';
import { updateSchedule, type WorkerOutcome } from './retry.js';

/** One guest's balloon driver. It does nothing by itself: the worker is run by whoever was asked to schedule it. */
export interface BalloonDriver {
  /** The counts as they are now: a copy, it does not change afterwards. */
  readonly stats: BalloonStats;
  /** Stores what the guest should hold and schedules the worker at once. The latest target wins. */
  setTarget(target: Pages): void;
  /** Moves towards the target as far as possible at once; on `again` it has been scheduled for later. */
  runWorker(): WorkerOutcome;
  /** Lends `count` low frames with nothing behind them, or none. */
  lend(count: Pages): LendOutcome;
  /** Takes lent frames back, in any order. Throws `BalloonBugError`, and changes nothing, unless all of them are lent. */
  takeBack(runs: readonly FrameRun[]): void;
  /** Memory that hotplug added came online. Throws `BalloonBugError`, and changes nothing, unless it was waited for. */
  bringOnline(run: FrameRun): void;
  /** `hotplug_unpopulated`: whether borrowers get memory that is added for them. Without hotplug it changes nothing. */
  setHotplugUnpopulated(on: boolean): void;
  /** The list from the head on. The driver must not be used while it is being looked at. */
  listRuns(): Iterable<FrameRun>;
}

/**
 * A driver whose guest holds `bootPages`; the extra regions are in the balloon. When a port does what it must not (or
 * throws), the driver throws `BalloonBugError` and refuses everything from then on.
 */
export function createBalloonDriver(options: BalloonOptions, ports: BalloonPorts): BalloonDriver {
  return new Driver(new Books(options), ports);
}

class Driver implements BalloonDriver {
  readonly #books: Books;
  readonly #ports: BalloonPorts;
  #stoppedBy: BalloonBugError | null = null;
  #isBusy = false;

  constructor(books: Books, ports: BalloonPorts) {
    this.#books = books;
    this.#ports = ports;
  }

  get stats(): BalloonStats {
    return this.#books.stats;
  }

  setTarget(target: Pages): void {
    this.#refuseWhenStopped();
    this.#books.targetPages = pages(target);
    this.#ports.schedule(0);
  }

  runWorker(): WorkerOutcome {
    return this.#exclusively('running the worker', () => {
      let outcome = this.#workOnce();
      while (outcome === 'more') outcome = this.#workOnce();
      if (outcome === 'again') this.#ports.schedule(this.#books.retry.scheduleDelay);
      return outcome;
    });
  }

  lend(count: Pages): LendOutcome {
    const checked = pages(count);
    return this.#exclusively('lending', () => lendFrames(this.#books, this.#ports, checked));
  }

  takeBack(runs: readonly FrameRun[]): void {
    this.#refuseWhenStopped();
    this.#refuseWhenBusy('taking frames back');
    takeBackFrames(this.#books, this.#ports, runs);
  }

  bringOnline(run: FrameRun): void {
    this.#refuseWhenStopped();
    this.#books.arrive(run);
    this.#ports.schedule(0);
  }

  setHotplugUnpopulated(on: boolean): void {
    this.#refuseWhenStopped();
    this.#books.hotplugUnpopulated = on;
  }

  listRuns(): Iterable<FrameRun> {
    return this.#books.list.runs();
  }

  /** One round of the worker; `more` when there is something left to do at once. */
  #workOnce(): WorkerOutcome | 'more' {
    const { credit } = this.#books;
    const { state, outcome } = updateSchedule(this.#books.retry, this.#move(credit));
    this.#books.retry = state;
    return credit !== 0 && outcome === 'done' ? 'more' : outcome;
  }

  #move(credit: number): WorkerOutcome {
    if (credit === 0) return 'done';
    if (credit < 0) return decreaseReservation(this.#books, this.#ports, pages(-credit), { tryHard: false });
    if (this.#books.list.length > 0) return increaseReservation(this.#books, this.#ports, pages(credit));
    return reserveAdditionalMemory(this.#books, this.#ports.hotplug);
  }

  /** Runs what calls ports in the middle of moving frames: should one of them throw, the books cannot be trusted any more. */
  #exclusively<T>(doing: string, operation: () => T): T {
    this.#refuseWhenStopped();
    this.#refuseWhenBusy(doing);
    this.#isBusy = true;
    try {
      return operation();
    } catch (error) {
      this.#stoppedBy =
        error instanceof BalloonBugError
          ? error
          : new BalloonBugError(`${doing} broke off: a port threw an error`, error);
      throw this.#stoppedBy;
    } finally {
      this.#isBusy = false;
    }
  }

  #refuseWhenStopped(): void {
    if (this.#stoppedBy === null) return;
    throw new BalloonBugError(`it has stopped for good, because of this: ${this.#stoppedBy.message}`, this.#stoppedBy);
  }

  #refuseWhenBusy(doing: string): void {
    if (this.#isBusy) throw new BalloonBugError(`${doing} was asked for by a port, in the middle of something else`);
  }
}
