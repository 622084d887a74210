/**
 * A set of frames, kept as rising runs in order. Runs that touch become one. It lies in chunks of bounded size, so that a
 * change costs little however many runs there are; memory grows with runs, not with frames. It knows nothing of who owns
 * the frames: a caller that gets `false` back has found a frame in two places, or in none.
 */
import { risingRun, type FrameRun } from './frame-run.js';

const CHUNK_RUNS_MAX = 256;

/** Run `i` of a chunk is from `starts[i]` up to, not including, `ends[i]`. A chunk is never empty. */
interface Chunk {
  readonly starts: number[];
  readonly ends: number[];
}

/** How many of the rising `values` are at most `limit`. */
function countUpTo(values: readonly number[], limit: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if ((values[middle] ?? Infinity) <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

export class FrameSet {
  readonly #chunks: Chunk[] = [];
  #size = 0;
  /** Where `#seek` found its run. Two fields and no object: this is the innermost part of moving memory. */
  #chunkAt = 0;
  #runAt = -1;

  /** Frames in the set. */
  get size(): number {
    return this.#size;
  }

  /** Adds the frames from `start` up to, not including, `end`. False, and nothing is done, when one is in the set already. */
  add(start: number, end: number): boolean {
    const chunk = this.#seek(start);
    if (chunk === undefined) {
      this.#chunks.push({ starts: [start], ends: [end] });
      this.#size += end - start;
      return true;
    }
    const chunkAt = this.#chunkAt;
    const runAt = this.#runAt;
    const next = runAt + 1 < chunk.starts.length ? chunk : this.#chunks[chunkAt + 1];
    const nextAt = next === chunk ? runAt + 1 : 0;
    const endBefore = chunk.ends[runAt] ?? -1;
    const startAfter = next?.starts[nextAt] ?? Infinity;
    if (endBefore > start || startAfter < end) return false;
    if (endBefore === start) {
      const joinsAfter = startAfter === end;
      chunk.ends[runAt] = joinsAfter ? (next?.ends[nextAt] ?? end) : end;
      if (joinsAfter) this.#drop(next === chunk ? chunkAt : chunkAt + 1, nextAt);
    } else if (next !== undefined && startAfter === end) next.starts[nextAt] = start;
    else this.#insert(chunkAt, runAt + 1, start, end);
    this.#size += end - start;
    return true;
  }

  /** Removes the frames from `start` up to, not including, `end`. False, and nothing is done, unless all are in the set. */
  remove(start: number, end: number): boolean {
    const chunk = this.#seek(start);
    const chunkAt = this.#chunkAt;
    const runAt = this.#runAt;
    const foundStart = chunk?.starts[runAt];
    const foundEnd = chunk?.ends[runAt];
    if (chunk === undefined || foundStart === undefined || foundEnd === undefined || foundEnd < end) return false;
    if (foundStart === start) {
      if (foundEnd === end) this.#drop(chunkAt, runAt);
      else chunk.starts[runAt] = end;
    } else {
      chunk.ends[runAt] = start;
      if (foundEnd !== end) this.#insert(chunkAt, runAt + 1, end, foundEnd);
    }
    this.#size -= end - start;
    return true;
  }

  /** True when frame `frame` is in the set. */
  has(frame: number): boolean {
    const chunk = this.#seek(frame);
    return frame < (chunk?.ends[this.#runAt] ?? -1);
  }

  /** Removes the lowest run, or the lowest `countMax` frames of it; null when the set is empty. `countMax` must be above 0. */
  takeLowest(countMax: number): FrameRun | null {
    const chunk = this.#chunks[0];
    const start = chunk?.starts[0];
    const end = chunk?.ends[0];
    if (chunk === undefined || start === undefined || end === undefined) return null;
    const count = Math.min(countMax, end - start);
    if (start + count === end) this.#drop(0, 0);
    else chunk.starts[0] = start + count;
    this.#size -= count;
    return risingRun(start, count);
  }

  /** The set's runs, rising. The set must not be changed while they are being looked at. */
  *runs(): Iterable<FrameRun> {
    for (const { starts, ends } of this.#chunks) {
      for (const [at, start] of starts.entries()) yield risingRun(start, (ends[at] ?? start) - start);
    }
  }

  /** Finds the last run that starts at or before `frame`, and returns its chunk; −1 in the first chunk when there is none. */
  #seek(frame: number): Chunk | undefined {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if ((this.#chunks[middle]?.starts[0] ?? Infinity) <= frame) low = middle + 1;
      else high = middle;
    }
    this.#chunkAt = Math.max(0, low - 1);
    const chunk = this.#chunks[this.#chunkAt];
    this.#runAt = chunk === undefined ? -1 : countUpTo(chunk.starts, frame) - 1;
    return chunk;
  }

  /** Puts a run at a place; splits the chunk when it has grown too large. */
  #insert(chunkAt: number, runAt: number, start: number, end: number): void {
    const chunk = this.#chunks[chunkAt];
    if (chunk === undefined) return;
    chunk.starts.splice(runAt, 0, start);
    chunk.ends.splice(runAt, 0, end);
    if (chunk.starts.length <= CHUNK_RUNS_MAX) return;
    const half = CHUNK_RUNS_MAX / 2;
    this.#chunks.splice(chunkAt + 1, 0, { starts: chunk.starts.splice(half), ends: chunk.ends.splice(half) });
  }

  #drop(chunkAt: number, runAt: number): void {
    const chunk = this.#chunks[chunkAt];
    if (chunk === undefined) return;
    chunk.starts.splice(runAt, 1);
    chunk.ends.splice(runAt, 1);
    if (chunk.starts.length === 0) this.#chunks.splice(chunkAt, 1);
  }
}
