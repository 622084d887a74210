/**
 * The balloon: the list of frames that the guest's kernel holds and the hypervisor has taken back. Low frames join at the
 * head, high frames at the tail, one by one; so the list is always a stack of low frames with a queue of high frames behind
 * it. It decides the order and keeps the two counts; it does not check that a frame is on it only once (the books do).
 *
 * Source: specification 2, "The list".
 */
import { appendRun, firstOf, joinRuns, reverseRun, splitRun, withoutFirst, type FrameRun } from './frame-run.js';

/** Taken runs at the front of the queue are let go of once there are this many, and at least half of the queue is gone. */
const QUEUE_SLACK_RUNS = 64;

export class FrameList {
  readonly #highStart: number;
  /** Low runs; the head of the list is the first frame of the last run. */
  readonly #lows: FrameRun[] = [];
  /** High runs from `#highFront` on; the tail of the list is the last frame of the last run. */
  readonly #highs: FrameRun[] = [];
  #highFront = 0;
  #lowCount = 0;
  #highCount = 0;

  /** Frames at or above `highStart` are high memory. */
  constructor(highStart: number) {
    this.#highStart = highStart;
  }

  /** Low frames on the list: `balloon_low`. */
  get lowCount(): number {
    return this.#lowCount;
  }

  /** High frames on the list: `balloon_high`. */
  get highCount(): number {
    return this.#highCount;
  }

  get length(): number {
    return this.#lowCount + this.#highCount;
  }

  /** Adds the frames of `run` one after the other, in its order. */
  add(run: FrameRun): void {
    const { below, above } = splitRun(run, this.#highStart);
    if (below !== null) this.#addLow(below);
    if (above !== null) this.#addHigh(above);
  }

  /** The first `countMax` frames from the head on, or all when there are fewer. They stay on the list. */
  peek(countMax: number): FrameRun[] {
    const seen: FrameRun[] = [];
    let missing = countMax;
    for (const run of this.runs()) {
      if (missing <= 0) break;
      const part = firstOf(run, Math.min(missing, run.length));
      seen.push(part);
      missing -= part.length;
    }
    return seen;
  }

  /** Takes up to `countMax` frames off the head, in order. */
  take(countMax: number): FrameRun[] {
    const taken = this.takeLow(countMax);
    let missing = countMax;
    for (const run of taken) missing -= run.length;
    while (missing > 0) {
      const run = this.#highs[this.#highFront];
      if (run === undefined) break;
      const part = firstOf(run, Math.min(missing, run.length));
      if (part.length === run.length) this.#highFront += 1;
      else this.#highs[this.#highFront] = withoutFirst(run, part.length);
      appendRun(taken, part);
      this.#highCount -= part.length;
      missing -= part.length;
    }
    this.#compactHighs();
    return taken;
  }

  /** Takes up to `countMax` low frames off the head, in order; none when the head is a high frame. */
  takeLow(countMax: number): FrameRun[] {
    const taken: FrameRun[] = [];
    let missing = countMax;
    while (missing > 0) {
      const run = this.#lows.pop();
      if (run === undefined) break;
      const part = firstOf(run, Math.min(missing, run.length));
      if (part.length < run.length) this.#lows.push(withoutFirst(run, part.length));
      taken.push(part);
      this.#lowCount -= part.length;
      missing -= part.length;
    }
    return taken;
  }

  /** The list from the head on. It must not be changed while it is being looked at. */
  *runs(): Iterable<FrameRun> {
    for (let at = this.#lows.length - 1; at >= 0; at -= 1) {
      const run = this.#lows[at];
      if (run !== undefined) yield run;
    }
    for (let at = this.#highFront; at < this.#highs.length; at += 1) {
      const run = this.#highs[at];
      if (run !== undefined) yield run;
    }
  }

  #addLow(run: FrameRun): void {
    // Each frame goes in front of the one before it, so the run lies on the list the other way round.
    const turned = reverseRun(run);
    const head = this.#lows.at(-1);
    const joined = head === undefined ? null : joinRuns(turned, head);
    if (joined === null) this.#lows.push(turned);
    else this.#lows[this.#lows.length - 1] = joined;
    this.#lowCount += run.length;
  }

  #addHigh(run: FrameRun): void {
    const tail = this.#highFront < this.#highs.length ? this.#highs.at(-1) : undefined;
    const joined = tail === undefined ? null : joinRuns(tail, run);
    if (joined === null) this.#highs.push(run);
    else this.#highs[this.#highs.length - 1] = joined;
    this.#highCount += run.length;
  }

  #compactHighs(): void {
    if (this.#highFront < QUEUE_SLACK_RUNS || this.#highFront * 2 < this.#highs.length) return;
    this.#highs.splice(0, this.#highFront);
    this.#highFront = 0;
  }
}
