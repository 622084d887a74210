/** Frames one by one, for tests that compare the runs with something too simple to be wrong. */
import { appendRun, risingRun, type FrameRun } from '../../../src/balloon/frame-run.js';

export function expand(runs: Iterable<FrameRun>): number[] {
  const frames: number[] = [];
  for (const run of runs) for (let at = 0; at < run.length; at += 1) frames.push(run.start + run.step * at);
  return frames;
}

export function compress(frames: readonly number[]): FrameRun[] {
  const runs: FrameRun[] = [];
  for (const frame of frames) appendRun(runs, risingRun(frame, 1));
  return runs;
}
