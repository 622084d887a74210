/**
 * A guest's page allocator that hands out the lowest free frame. It is what the golden vectors' world has, and what simulated
 * guests use. How many frames it may still hand out is set from outside: a guest's processes hold the others.
 */
import { addPages, minPages, pages, subtractPages, type Pages } from '../units.js';
import { BalloonBugError } from './bug.js';
import { appendRun, checkRun, endFrame, lowestFrame, runText, type FrameRun } from './frame-run.js';
import { FrameSet } from './frame-set.js';
import type { FrameAllocator } from './ports.js';

/** Hands out the lowest free frames first. Throws `BalloonBugError` when a frame is freed that is free already. */
export class LowestFirstAllocator implements FrameAllocator {
  /** How many pages it may still hand out. Each page taken lowers it by 1, each page freed raises it by 1. */
  allocatablePages: Pages;
  readonly #free = new FrameSet();

  /** `boot` are the frames that are free at start. Throws `BalloonBugError` when a frame is in it twice. */
  constructor(boot: readonly FrameRun[], allocatable: Pages) {
    this.allocatablePages = allocatable;
    for (const run of boot) this.#put(run);
  }

  /** Frames that are not handed out, whether they may be or not. */
  get freePages(): Pages {
    return pages(this.#free.size);
  }

  /** Its free frames, rising. */
  freeRuns(): Iterable<FrameRun> {
    return this.#free.runs();
  }

  /** The lowest free frames, rising: up to `count`, as far as there are any and they may be handed out. */
  take(count: Pages): readonly FrameRun[] {
    const taken: FrameRun[] = [];
    let missing: number = minPages(count, this.allocatablePages);
    while (missing > 0) {
      const run = this.#free.takeLowest(missing);
      if (run === null) break;
      appendRun(taken, run);
      missing -= run.length;
      this.allocatablePages = subtractPages(this.allocatablePages, pages(run.length));
    }
    return taken;
  }

  /** Takes frames back. Throws `BalloonBugError` when one is free already. */
  free(runs: readonly FrameRun[]): void {
    for (const run of runs) {
      this.#put(run);
      this.allocatablePages = addPages(this.allocatablePages, pages(run.length));
    }
  }

  #put(run: FrameRun): void {
    checkRun(run, 'whoever frees pages');
    if (this.#free.add(lowestFrame(run), endFrame(run))) return;
    throw new BalloonBugError(`${runText(run)} were freed to the guest, and one of them is free already`);
  }
}
