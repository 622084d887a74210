/**
 * The driver's books: what it has counted and which frames it holds. Every page that exists is in exactly one account:
 * used by the guest (`current`), on the list, lent, or added and not online yet; together they are `totalPages`.
 * It records and refuses entries that cannot be true; it decides nothing.
 */
import { addPages, NO_PAGES, pages, subtractPages, type Pages } from '../units.js';
import { BalloonBugError } from './bug.js';
import { FrameList } from './frame-list.js';
import { checkRun, countFrames, endFrame, lowestFrame, runText, type FrameRun } from './frame-run.js';
import { FrameSet } from './frame-set.js';
import type { RetryState } from './retry.js';

/** What the driver counts, all in pages of 4 KiB except where it says otherwise. Names are the field's. */
export interface BalloonStats extends RetryState {
  /** What the guest holds. */
  readonly currentPages: Pages;
  /** What was asked for last. */
  readonly targetPages: Pages;
  /** Pages lent. */
  readonly targetUnpopulated: Pages;
  /** Low frames on the list. */
  readonly balloonLow: Pages;
  /** High frames on the list. */
  readonly balloonHigh: Pages;
  /** Everything the guest could have without more memory being added: boot memory, extra regions, hotplugged sections. */
  readonly totalPages: Pages;
}

/** What a balloon driver begins with. */
export interface BalloonOptions {
  /** The RAM that the guest has at start; 0 or more. */
  readonly bootPages: Pages;
  /** Regions of frames beyond the boot memory, rising, cut at the highest frame number; they start in the balloon. */
  readonly extraRegions: readonly FrameRun[];
  /** Frames at or above this one are high memory. */
  readonly highStart: number;
  /** How often the worker tries before it gives up; 0 = without limit. */
  readonly maxRetryCount: number;
  /** Longest delay between two attempts, in seconds. Default 32. */
  readonly maxScheduleDelay?: number;
  /** Borrowers get memory that is added for them instead of the guest's own. Default false. */
  readonly hotplugUnpopulated?: boolean;
}

/** Source of 32: specification 2, "State". */
const SCHEDULE_DELAY_MAX_SECONDS = 32;

export class Books {
  readonly list: FrameList;
  readonly #held = new FrameSet();
  readonly #lent = new FrameSet();
  readonly #pending = new FrameSet();
  currentPages: Pages;
  targetPages: Pages;
  targetUnpopulated = NO_PAGES;
  totalPages: Pages;
  hotplugUnpopulated: boolean;
  retry: RetryState;

  constructor(options: BalloonOptions) {
    this.list = new FrameList(options.highStart);
    this.currentPages = options.bootPages;
    this.targetPages = options.bootPages;
    this.totalPages = options.bootPages;
    this.hotplugUnpopulated = options.hotplugUnpopulated ?? false;
    const maxScheduleDelay = options.maxScheduleDelay ?? SCHEDULE_DELAY_MAX_SECONDS;
    this.retry = { scheduleDelay: 1, maxScheduleDelay, retryCount: 1, maxRetryCount: options.maxRetryCount };
    for (const region of options.extraRegions) {
      this.collect(region, 'the extra regions');
      this.totalPages = addPages(this.totalPages, pages(region.length));
    }
  }

  /** Above 0 the guest may take memory, below 0 it must give. */
  get credit(): number {
    return this.targetPages - this.currentPages;
  }

  get stats(): BalloonStats {
    return {
      currentPages: this.currentPages,
      targetPages: this.targetPages,
      targetUnpopulated: this.targetUnpopulated,
      balloonLow: pages(this.list.lowCount),
      balloonHigh: pages(this.list.highCount),
      totalPages: this.totalPages,
      ...this.retry,
    };
  }

  /** Frames that nobody here had before go on the list. `from` says who gave them. */
  collect(run: FrameRun, from: string): void {
    this.#hold(run, from);
    this.list.add(run);
  }

  /** Takes up to `count` frames off the head of the list, to be handed out for good. */
  release(count: Pages): readonly FrameRun[] {
    const runs = this.list.take(count);
    for (const run of runs) this.#held.remove(lowestFrame(run), endFrame(run));
    return runs;
  }

  /** Takes up to `count` low frames off the head of the list, to be lent. */
  lend(count: Pages): readonly FrameRun[] {
    const runs = this.list.takeLow(count);
    for (const run of runs) this.#lent.add(lowestFrame(run), endFrame(run));
    return runs;
  }

  /** Lent frames come back on the list. All or nothing: throws `BalloonBugError`, and changes nothing, unless all are lent. */
  returnLent(runs: readonly FrameRun[]): void {
    for (const run of runs) checkRun(run, 'a borrower');
    for (const [done, run] of runs.entries()) {
      if (this.#lent.remove(lowestFrame(run), endFrame(run))) continue;
      for (const undo of runs.slice(0, done)) this.#lent.add(lowestFrame(undo), endFrame(undo));
      throw new BalloonBugError(`${runText(run)} came back from a borrower, and not all of them are lent`);
    }
    for (const run of runs) this.list.add(run);
  }

  /** Memory that was added: it counts from now on, and joins the list when it comes online. */
  expect(runs: readonly FrameRun[]): void {
    for (const run of runs) {
      this.#hold(run, 'memory hotplug');
      this.#pending.add(lowestFrame(run), endFrame(run));
    }
    this.totalPages = addPages(this.totalPages, pages(countFrames(runs)));
  }

  /** A section came online. Throws `BalloonBugError`, and changes nothing, unless all of it is expected. */
  arrive(run: FrameRun): void {
    checkRun(run, 'memory hotplug');
    if (!this.#pending.remove(lowestFrame(run), endFrame(run))) {
      throw new BalloonBugError(`${runText(run)} came online, and not all of them were being waited for`);
    }
    this.list.add(run);
  }

  /** Moves `count` pages from the list's side of the account to the guest's. */
  countReleased(count: Pages): void {
    this.currentPages = addPages(this.currentPages, count);
  }

  /** Moves `count` pages from the guest's side of the account to the list's. */
  countCollected(count: Pages): void {
    if (count > this.currentPages) {
      throw new BalloonBugError(`the allocator gave ${count} pages, and the guest holds only ${this.currentPages}`);
    }
    this.currentPages = subtractPages(this.currentPages, count);
  }

  #hold(run: FrameRun, from: string): void {
    checkRun(run, from);
    if (this.#held.add(lowestFrame(run), endFrame(run))) return;
    throw new BalloonBugError(`${runText(run)} came from ${from}, and the balloon holds one of them already`);
  }
}
