/**
 * How much memory the JavaScript engine takes for itself. A daemon that drives one guest from inside it runs a few milliseconds
 * of code every few seconds: compiling that code better costs more, in memory and in time, than it brings, and garbage may be
 * collected a little more often. Measured in docs/decisions/0012-a-small-daemon.md.
 *
 * The engine is told at run time, so that it does not matter how the program was started. A flag that a later Node.js no
 * longer knows makes it print a line and changes nothing else.
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** No second, optimising compilation (in the background, with megabytes of its own); the space for new objects stays at 1 MiB. */
const SMALL = ['--no-opt', '--semi-space-growth-factor=1'] as const;
/** The engine's own defaults, the same from Node.js 20 to 26 (node --v8-options). */
const USUAL = ['--opt', '--semi-space-growth-factor=2'] as const;

/** Says what an engine flag is; takes effect from now on. */
export type SetFlag = (flag: string) => void;

/** To be called first of all: most of what a start leaves behind is made while the program is loaded. */
export function keepEngineSmall(setFlag: SetFlag = setFlagsFromString): void {
  for (const flag of SMALL) setFlag(flag);
}

/**
 * For a host, whose guests' rounds are worth compiling well. The space for new objects stays as it is: what a round makes is garbage when
 * it is over, and 200 guests were driven no faster with 16 MiB of it (docs/decisions/0019-many-machines.md).
 */
export function letEngineOptimise(setFlag: SetFlag = setFlagsFromString): void {
  setFlag('--opt');
}

/** For whoever has more to do than that: the simulator, above all. */
export function letEngineGrow(setFlag: SetFlag = setFlagsFromString): void {
  for (const flag of USUAL) setFlag(flag);
}

/** What is known of the heap, and what can be done about it. */
export interface Heap {
  readonly usedBytes: () => number;
  /** Collects all garbage: some 10 ms. */
  readonly collect: () => void;
}

/**
 * Half of it is the space for new objects, which empties itself. The rest is what outlived that, some 7 to 11 KB a round (seen
 * on Node.js 20). Left alone the engine lets it gather for hours: 19 MiB were held after 480 rounds, and no end was seen.
 */
const GATHERED_BYTES_MAX = 2 * 1024 * 1024;

/** To be called after each round: collects when 2 MiB have gathered since the last time, and so for the first time at once. */
export function collectWhenGathered(heap: Heap = engineHeap()): () => void {
  let keptBytes = 0;
  return () => {
    if (heap.usedBytes() - keptBytes < GATHERED_BYTES_MAX) return;
    heap.collect();
    keptBytes = heap.usedBytes();
  };
}

/** An engine that does not give its collector away collects when it thinks fit. */
function engineHeap(): Heap {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('globalThis.gc');
  return {
    usedBytes: () => getHeapStatistics().used_heap_size,
    collect: () => {
      if (isCall(collect)) collect();
    },
  };
}

const isCall = (found: unknown): found is () => void => typeof found === 'function';
