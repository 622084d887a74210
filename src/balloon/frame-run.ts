/**
 * A directed run of page frames: the first one, how many, and which way the numbers go. Frame numbers reach 2^36 and counts
 * pass 2^32, so everything about frames is said in runs and never frame by frame. It decides how runs are cut, turned and
 * joined; it does not know what the frames are used for.
 */
import { BalloonBugError } from './bug.js';

/** Frames `start`, `start + step`, `start + 2 × step` …, `length` of them. `length` is 1 or more; no frame is below 0. */
export interface FrameRun {
  readonly start: number;
  readonly length: number;
  readonly step: 1 | -1;
}

/** The run of `length` frames that rises from `start`. */
export const risingRun = (start: number, length: number): FrameRun => ({ start, length, step: 1 });

/** The frame that the run ends with: the lowest one of a run that falls. */
export const lastFrame = (run: FrameRun): number => run.start + run.step * (run.length - 1);
/** The lowest frame of the run, in whichever direction it goes. */
export const lowestFrame = (run: FrameRun): number => (run.step === 1 ? run.start : lastFrame(run));
/** One above the highest frame of the run. */
export const endFrame = (run: FrameRun): number => (run.step === 1 ? run.start + run.length : run.start + 1);
/** The same frames in the other direction. */
export const reverseRun = (run: FrameRun): FrameRun => ({
  start: lastFrame(run),
  length: run.length,
  step: run.step === 1 ? -1 : 1,
});

/** How many frames `runs` hold together. */
export function countFrames(runs: readonly FrameRun[]): number {
  let count = 0;
  for (const run of runs) count += run.length;
  return count;
}

/** The first `count` frames of a run; `count` must be 1 up to its length. */
export const firstOf = (run: FrameRun, count: number): FrameRun =>
  count === run.length ? run : { start: run.start, length: count, step: run.step };
/** What remains of a run without its first `count` frames; `count` must be below its length. */
export const withoutFirst = (run: FrameRun, count: number): FrameRun => ({
  start: run.start + run.step * count,
  length: run.length - count,
  step: run.step,
});

/** The run that goes through `a` and then `b`, or null when they do not make one. A run of one frame goes either way. */
export function joinRuns(a: FrameRun, b: FrameRun): FrameRun | null {
  const step = b.start - lastFrame(a);
  if (step !== 1 && step !== -1) return null;
  if (a.length > 1 && a.step !== step) return null;
  if (b.length > 1 && b.step !== step) return null;
  return { start: a.start, length: a.length + b.length, step };
}

/** Adds `run` behind the last of `runs`, as one run with it where they join. */
export function appendRun(runs: FrameRun[], run: FrameRun): void {
  const last = runs.at(-1);
  const joined = last === undefined ? null : joinRuns(last, run);
  if (joined === null) runs.push(run);
  else runs[runs.length - 1] = joined;
}

/** The parts of a run below `border`, and at or above it; each keeps the run's direction. */
export function splitRun(
  run: FrameRun,
  border: number,
): { readonly below: FrameRun | null; readonly above: FrameRun | null } {
  const lowest = lowestFrame(run);
  const end = endFrame(run);
  if (end <= border) return { below: run, above: null };
  if (lowest >= border) return { below: null, above: run };
  const below = risingRun(lowest, border - lowest);
  const above = risingRun(border, end - border);
  return run.step === 1 ? { below, above } : { below: reverseRun(below), above: reverseRun(above) };
}

/** Throws `BalloonBugError` unless `run` is one: whole numbers, 1 frame or more, none below 0. `from` says who gave it. */
export function checkRun(run: FrameRun, from: string): void {
  const whole = Number.isSafeInteger(run.start) && Number.isSafeInteger(run.length) && run.length >= 1;
  if (whole && lowestFrame(run) >= 0 && Number.isSafeInteger(endFrame(run))) return;
  throw new BalloonBugError(
    `${from} gave ${run.length} frames from ${run.start} on, step ${run.step}: that is no run of frames`,
  );
}

/** A run in words, for messages. */
export const runText = (run: FrameRun): string =>
  run.length === 1 ? `frame ${run.start}` : `frames ${run.start} to ${lastFrame(run)}`;
