/**
 * The world of the golden vectors: a hypervisor, an allocator and memory hotplug that are plain numbers, with the driver in
 * the middle. Everything in it can be changed from outside between two operations, as the vectors' `world_*` lines do.
 *
 * Source: specification 2, "What the vectors' world does".
 */
import { addPages, minPages, NO_PAGES, pages, subtractPages, type Pages } from '../units.js';
import { createBalloonDriver, type BalloonDriver } from './driver.js';
import { countFrames, risingRun, type FrameRun } from './frame-run.js';
import { LowestFirstAllocator } from './lowest-first-allocator.js';
import type { HotplugOutcome, IncreaseOutcome, MemoryHotplug, Reservation } from './ports.js';

/** What such a world begins with: pages of 4 KiB, each 0 or more. */
export interface WorldOptions {
  readonly bootPages: Pages;
  /** Frames beyond the boot memory, in one region right behind it. */
  readonly extraPages: Pages;
  readonly highStart: number;
  readonly hypervisorFreePages: Pages;
  readonly maxRetryCount: number;
  /** Pages in a section; null: no memory hotplug. */
  readonly sectionPages: Pages | null;
}

/** A hypervisor with so many free pages. */
export class CountingReservation implements Reservation {
  freePages: Pages;

  constructor(freePages: Pages) {
    this.freePages = freePages;
  }

  /** Grants what there is. */
  increase(_runs: readonly FrameRun[], count: Pages): IncreaseOutcome {
    const granted = minPages(count, this.freePages);
    this.freePages = subtractPages(this.freePages, granted);
    return { kind: 'granted', count: granted };
  }

  decrease(_runs: readonly FrameRun[], count: Pages): Pages {
    this.freePages = addPages(this.freePages, count);
    return count;
  }
}

/** Hotplug that adds sections from the first frame not yet in use on. */
export class NextFrameHotplug implements MemoryHotplug {
  readonly sectionPages: Pages;
  /** The resource cannot be had. */
  resourceFails = false;
  /** Adding it to the system fails. */
  addFails = false;
  #nextFrame: number;
  #pending: FrameRun[] = [];

  constructor(sectionPages: Pages, nextFrame: number) {
    this.sectionPages = sectionPages;
    this.#nextFrame = nextFrame;
  }

  /** Pages added that are not online yet. */
  get pendingPages(): Pages {
    return pages(countFrames(this.#pending));
  }

  reserve(count: Pages): HotplugOutcome {
    if (this.resourceFails || this.addFails) return { kind: 'refused' };
    const run = risingRun(this.#nextFrame, count);
    this.#nextFrame += count;
    this.#pending.push(run);
    return { kind: 'added', pending: [run] };
  }

  /** Everything pending comes online now. */
  waitOnline(): readonly FrameRun[] {
    const online = this.#pending;
    this.#pending = [];
    return online;
  }
}

/** A driver with everything around it, which a test or a replay holds in its hand. */
export interface World {
  readonly driver: BalloonDriver;
  readonly reservation: CountingReservation;
  readonly allocator: LowestFirstAllocator;
  readonly hotplug: NextFrameHotplug | null;
  /** Pages added that are not online yet. */
  readonly pendingPages: Pages;
  /** Everything pending comes online now. */
  onlinePending(): void;
  /** The delay in seconds that was asked for last since this was called last; null when none was. */
  takeScheduled(): number | null;
}

/** A guest whose boot memory is free, in a world where the allocator may hand out all of it. */
export function createWorld(options: WorldOptions): World {
  const { bootPages, extraPages } = options;
  let scheduled: number | null = null;
  const reservation = new CountingReservation(options.hypervisorFreePages);
  const allocator = new LowestFirstAllocator(regionOf(0, bootPages), bootPages);
  const hotplug =
    options.sectionPages === null ? null : new NextFrameHotplug(options.sectionPages, bootPages + extraPages);
  const driver = createBalloonDriver(
    {
      bootPages,
      extraRegions: regionOf(bootPages, extraPages),
      highStart: options.highStart,
      maxRetryCount: options.maxRetryCount,
    },
    { reservation, allocator, hotplug, schedule: (delaySeconds) => (scheduled = delaySeconds) },
  );
  return {
    driver,
    reservation,
    allocator,
    hotplug,
    get pendingPages() {
      return hotplug?.pendingPages ?? NO_PAGES;
    },
    onlinePending() {
      for (const run of hotplug?.waitOnline() ?? []) driver.bringOnline(run);
    },
    takeScheduled() {
      const asked = scheduled;
      scheduled = null;
      return asked;
    },
  };
}

const regionOf = (start: number, length: number): readonly FrameRun[] =>
  length === 0 ? [] : [risingRun(start, length)];
