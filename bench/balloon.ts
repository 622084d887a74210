/** How long the balloon driver itself takes to move 1 GiB out of a guest and back, without any hypervisor behind it. */
import { createWorld, type World } from '../src/balloon/index.js';
import { NO_PAGES, pages, subtractPages } from '../src/units.js';

export interface BenchRow {
  readonly name: string;
  readonly unit: 'ms';
  readonly value: number;
  /** The value must not be above it. */
  readonly goal: number;
}

const GIB_PAGES = pages(262_144);
const GUEST_PAGES = pages(1_048_576);
const REPEATS = 31;
const GOAL_MS = 5;

/** Median times over several fresh guests of 4 GiB. */
export function benchBalloon(): readonly BenchRow[] {
  const times = Array.from({ length: REPEATS }, moveOnce);
  const row = (name: string, values: readonly number[]): BenchRow => ({
    name,
    unit: 'ms',
    value: median(values),
    goal: GOAL_MS,
  });
  return [
    row(
      'balloon: 1 GiB out of a guest',
      times.map(({ out }) => out),
    ),
    row(
      'balloon: 1 GiB back into a guest',
      times.map(({ back }) => back),
    ),
  ];
}

function moveOnce(): { readonly out: number; readonly back: number } {
  const world = createWorld({
    bootPages: GUEST_PAGES,
    extraPages: NO_PAGES,
    highStart: 2 ** 36,
    hypervisorFreePages: NO_PAGES,
    maxRetryCount: 0,
    sectionPages: null,
  });
  const out = timeMove(world, subtractPages(GUEST_PAGES, GIB_PAGES));
  const back = timeMove(world, GUEST_PAGES);
  return { out, back };
}

function timeMove({ driver }: World, target: ReturnType<typeof pages>): number {
  const start = performance.now();
  driver.setTarget(target);
  driver.runWorker();
  const took = performance.now() - start;
  if (driver.stats.currentPages !== target)
    throw new Error(`the guest holds ${driver.stats.currentPages}, not ${target}`);
  return took;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}
