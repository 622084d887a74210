/**
 * How much memory the JavaScript engine takes for itself. A daemon that drives one guest from inside it runs a few milliseconds
 * of code every few seconds: compiling that code better costs more, in memory and in time, than it brings, and garbage may be
 * collected a little more often. Measured in docs/decisions/0012-a-small-daemon.md.
 *
 * The engine is told at run time, so that it does not matter how the program was started. A flag that a later Node.js no
 * longer knows makes it print a line and changes nothing else.
 */
import { getHeapSpaceStatistics, getHeapStatistics, setFlagsFromString } from 'node:v8';
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

/** A half of the space for new objects: of a host, and what it is at the least. */
const HOST_HALF_BYTES = 4 * 1024 * 1024;
const LEAST_HALF_BYTES = 1024 * 1024;

/**
 * For a host, whose guests' rounds are worth compiling well. What is known of a guest is garbage a round later; in a space for new objects
 * of twice 1 MiB most of it was copied to where garbage is dear before that, which was more than a quarter of the work. In more than twice
 * 4 MiB there was a tenth to gain, for 13 MiB and more held (docs/decisions/0019-many-machines.md).
 *
 * Returns what is to be called after each round. The space grows as it fills, and the engine takes the growth from it again where little
 * happens; its first size can be told at the start of the process only, and its largest too.
 */
export function letEngineOptimise(setFlag: SetFlag = setFlagsFromString, halfBytes = newSpaceHalf): () => void {
  setFlag('--opt');
  let lastFactor = 0;
  return () => {
    // In one step, so that it is not passed by; 1: it grows no further.
    const factor = Math.max(1, Math.floor(HOST_HALF_BYTES / Math.max(halfBytes(), LEAST_HALF_BYTES)));
    if (factor === lastFactor) return;
    lastFactor = factor;
    setFlag(`--semi-space-growth-factor=${factor}`);
  };
}

/**
 * How large the engine lets a half of the space for new objects become before it collects. Later engines take that much piece by piece, so that
 * the size that the space has says too little: one that was told to grow until it was reached grew twice. While they mark old garbage they let
 * new objects pass it; the factor is 1 meanwhile, and the half the same afterwards.
 */
function newSpaceHalf(): number {
  const space = getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space');
  return space === undefined ? HOST_HALF_BYTES : space.space_used_size + space.space_available_size;
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
