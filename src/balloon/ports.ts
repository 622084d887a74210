/**
 * What the driver needs from outside: a hypervisor that holds the reservation, the guest's page allocator, memory hotplug,
 * and someone who wakes the worker. Ports answer at once; none may call `runWorker` or `lend` from inside a call.
 */
import type { Pages } from '../units.js';
import type { FrameRun } from './frame-run.js';

/** What came of asking for memory behind frames. */
export type IncreaseOutcome =
  /** The first `count` frames of those asked for have memory behind them again; 0 up to the number asked for. */
  { readonly kind: 'granted'; readonly count: Pages } | { readonly kind: 'failed' };

/** What the hypervisor has given the guest. */
export interface Reservation {
  /** Asks for memory behind these frames, `count` of them, at most 512. It may be granted in part or refused. */
  increase(runs: readonly FrameRun[], count: Pages): IncreaseOutcome;
  /** Gives back the memory behind these frames, `count` of them. Returns how many were taken: anything but all is a bug. */
  decrease(runs: readonly FrameRun[], count: Pages): Pages;
}

/** How hard the guest's allocator may try. */
export interface TakeOptions {
  /** True: the allocator may try as hard as it can. False: it must not try so hard that it kills processes. */
  readonly tryHard: boolean;
}

/** The guest's page allocator. Scrubbing, mapping and unmapping are its business: what it is given back is ready to use. */
export interface FrameAllocator {
  /** Hands out up to `count` frames, scrubbed and unmapped, in the order in which they were taken; fewer when there are no more. */
  take(count: Pages, options: TakeOptions): readonly FrameRun[];
  /** Takes frames that have memory behind them. */
  free(runs: readonly FrameRun[]): void;
}

/** What came of asking for more frames. */
export type HotplugOutcome =
  /** The memory is there and its sections will come online. `pending` are its frames, exactly as many as were asked for. */
  { readonly kind: 'added'; readonly pending: readonly FrameRun[] } | { readonly kind: 'refused' };

/** The guest's memory hotplug. */
export interface MemoryHotplug {
  /** Pages in a section, 1 or more. Memory is added in whole sections. 128 MiB on x86-64. */
  readonly sectionPages: Pages;
  /** Adds `count` pages, a whole number of sections. Refused: what was begun has been undone. */
  reserve(count: Pages): HotplugOutcome;
  /**
   * A borrower waits for memory that was added. Returns the sections that came online now; none when there is nothing to
   * wait for. Sections that come online at any other time are told through the driver's `bringOnline`.
   */
  waitOnline(): readonly FrameRun[];
}

/** Everything that the driver is given. */
export interface BalloonPorts {
  readonly reservation: Reservation;
  readonly allocator: FrameAllocator;
  /** Null: this guest cannot grow past what it was started with. */
  readonly hotplug: MemoryHotplug | null;
  /** Asks that `runWorker` be called after `delaySeconds`; a later call replaces an earlier one. It must not call it itself. */
  readonly schedule: (delaySeconds: number) => void;
}
