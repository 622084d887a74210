/**
 * The seam between a guest's kernel and the life it leads. A workload is a function of its own state, the time and its random
 * stream; it never sees how much memory there is, so the same seed makes the same demands whatever the balloon does. Only an
 * OOM kill comes back to it.
 */
import type { RandomStream } from './random.js';

/** What the guest's processes ask of its kernel now. Page counts are whole. One object is filled in again and again. */
export interface Demand {
  /** Memory promised to processes: `Committed_AS`. */
  committedPages: number;
  /** Anonymous memory that is touched all the time. */
  hotPages: number;
  /** Anonymous memory that is used and hardly ever touched. */
  coldPages: number;
  /** File pages that are read over and over. */
  fileHotPages: number;
  /** Reads from those, spread evenly over them. */
  rereadsPerSecond: number;
  /** File pages read once. */
  readsPerSecond: number;
  /** File pages written once. */
  writesPerSecond: number;
}

/** What runs in a simulated guest: it says what it needs, and never sees what it gets. */
export interface Workload {
  /** In a word or two, for people. */
  readonly life: string;
  /** Tasks that run side by side; 1 or more. Only all of them waiting is "full" pressure. */
  readonly tasks: number;
  /** Fills in the demand at `atSeconds` of the world's time. Returns after how many seconds it should be asked again, 1 to 5. */
  demandAt(atSeconds: number, demand: Demand): number;
  /** Its processes were killed and start afresh. */
  restart(atSeconds: number): void;
}

/** Makes the workload of a guest of `maximumPages`. Lives scale with the guest. */
export type WorkloadFactory = (maximumPages: number, random: RandomStream) => Workload;

/** The demand of a guest in which nothing runs. */
export const noDemand = (): Demand => ({
  committedPages: 0,
  hotPages: 0,
  coldPages: 0,
  fileHotPages: 0,
  rereadsPerSecond: 0,
  readsPerSecond: 0,
  writesPerSecond: 0,
});

/** How soon a workload wants to be asked again: every second while it moves fast, otherwise every five. */
export const SOON = 1;
export const LATER = 5;
