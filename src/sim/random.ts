/**
 * The simulator's only source of chance: a small seeded generator (xoshiro128**, by Blackman and Vigna). A stream is derived
 * from the seed and a name, so adding a guest does not change what happens to the others. Not for secrets.
 */

export interface RandomStream {
  /** From 0 up to, not including, 1; in steps of 2^-32. */
  next(): number;
  /** From `low` up to, not including, `high`. */
  between(low: number, high: number): number;
}

type State = [number, number, number, number];

/** The stream called `name` under `seed` (any finite number; its lower 32 bits count). The same two give the same stream. */
export function createRandomStream(seed: number, name: string): RandomStream {
  const state = spread(hashName(name) ^ mix(seed | 0));
  const next = (): number => draw(state) / 2 ** 32;
  return { next, between: (low, high) => low + (high - low) * next() };
}

/** FNV-1a, 32 bits. */
function hashName(name: string): number {
  let hash = 2166136261;
  for (let at = 0; at < name.length; at += 1) hash = Math.imul(hash ^ name.charCodeAt(at), 16777619);
  return hash;
}

/** The finalizer of MurmurHash3: every bit of the input changes about half of the output's. */
function mix(value: number): number {
  const first = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  const second = Math.imul(first ^ (first >>> 13), 0xc2b2ae35);
  return (second ^ (second >>> 16)) >>> 0;
}

/** Four words from one, by splitmix's increment. The state must not be all zeros, and four mixed different words are not. */
function spread(word: number): State {
  const nth = (index: number): number => mix((word + Math.imul(index, 0x9e3779b9)) | 0);
  return [nth(1), nth(2), nth(3), nth(4)];
}

const rotate = (value: number, by: number): number => (value << by) | (value >>> (32 - by));

function draw(state: State): number {
  const result = Math.imul(rotate(Math.imul(state[1], 5), 7), 9) >>> 0;
  const shifted = state[1] << 9;
  state[2] ^= state[0];
  state[3] ^= state[1];
  state[1] ^= state[2];
  state[0] ^= state[3];
  state[2] ^= shifted;
  state[3] = rotate(state[3], 11);
  return result;
}
