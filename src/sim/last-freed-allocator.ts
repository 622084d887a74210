/**
 * A simulated guest's page allocator: hands out the frames that were freed last, as a kernel's per-CPU lists do. With the
 * balloon's list, which works the same way, frames move to and fro along one sequence that never breaks into more pieces,
 * so a simulated year costs per batch what the first minute does.
 */
import { countFrames, risingRun, type FrameAllocator, type FrameRun } from '../balloon/index.js';
import { appendRun } from '../balloon/frame-run.js';
import type { Pages } from '../units.js';

/** Makes up to `count` frames free, without killing anyone; returns how many it did. */
export type Surrender = (count: Pages) => number;

export class LastFreedAllocator implements FrameAllocator {
  readonly #surrender: Surrender;
  readonly #receive: (count: number) => void;
  /** Frames that the guest has; those freed last are at the end. */
  readonly #runs: FrameRun[] = [];

  /** `boot` are the frames that the guest's kernel manages at start; the two functions keep the kernel's own accounts. */
  constructor(boot: readonly FrameRun[], surrender: Surrender, receive: (count: number) => void) {
    for (const run of boot) appendRun(this.#runs, run);
    this.#surrender = surrender;
    this.#receive = receive;
  }

  /** Up to `count` frames, in the order in which they were freed. */
  take(count: Pages): readonly FrameRun[] {
    const taken: FrameRun[] = [];
    let missing = this.#surrender(count);
    while (missing > 0) {
      const run = this.#runs.pop();
      if (run === undefined) throw new Error(`simulator bug: a kernel gave up ${missing} frames more than it has`);
      const part = lastOf(run, Math.min(missing, run.length));
      if (part.length < run.length) this.#runs.push({ ...run, length: run.length - part.length });
      taken.push(part);
      missing -= part.length;
    }
    return taken.reverse();
  }

  free(runs: readonly FrameRun[]): void {
    for (const run of runs) appendRun(this.#runs, run);
    this.#receive(countFrames(runs));
  }
}

/** The last `count` frames of a run, in its direction. */
const lastOf = (run: FrameRun, count: number): FrameRun =>
  run.step === 1
    ? risingRun(run.start + run.length - count, count)
    : { start: run.start - (run.length - count), length: count, step: -1 };
