/**
 * Moves a virtual clock along with real time, `speed` times as fast: for watching a simulated host live. Simulated time stands
 * still while anything is computed, so that a busy machine changes how smoothly it runs and never what is decided.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { millis } from '../units.js';
import type { VirtualClock } from './virtual-clock.js';

/** The clock is moved at least this often, so that what comes from outside in between is dealt with soon. Real milliseconds. */
const PACE_MS = 50;
/** Real time beyond this since the last move is left out: after a suspend nobody wants the missing hours at once. */
const CATCH_UP_MS_MAX = 250;

export interface PaceOptions {
  /** Simulated seconds for each real one; above 0. */
  readonly speed: number;
  /** Real milliseconds that never go back. Default: the process's monotonic clock. */
  readonly realNow?: () => number;
}

/** Keeps the clock going until `signal` is aborted. */
export async function keepPace(clock: VirtualClock, options: PaceOptions, signal: AbortSignal): Promise<void> {
  const { speed, realNow = () => performance.now() } = options;
  let realBefore = realNow();
  while (!signal.aborted) {
    await sleep(PACE_MS, undefined, { signal }).catch(() => undefined);
    const real = realNow();
    const passed = Math.min(Math.max(real - realBefore, 0), CATCH_UP_MS_MAX);
    realBefore = real;
    await clock.advanceTo(millis(clock.now() + passed * speed));
  }
}
