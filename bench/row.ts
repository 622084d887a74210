/** One figure of a benchmark. `goal` is the most (or, with `isRate`, the least) that it should be; null = only recorded. */
export interface BenchRow {
  readonly name: string;
  readonly unit: string;
  readonly value: number;
  readonly goal: number | null;
  readonly isRate?: boolean;
}

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
};
