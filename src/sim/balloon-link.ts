/**
 * A guest's balloon driver between the simulated kernel and the simulated host: the ports that the driver needs, the worker's
 * schedule in virtual time, and the speed at which a balloon really moves. The driver itself is the one in `balloon/`.
 */
import { createBalloonDriver, risingRun, type BalloonDriver, type FrameRun } from '../balloon/index.js';
import { addPages, maxPages, minPages, pages, subtractPages, subtractToZero, type Pages } from '../units.js';
import type { HostMemory } from './host-memory.js';
import { LastFreedAllocator } from './last-freed-allocator.js';

/** Speeds seen on a virtio balloon: it takes 0.9 GiB/s from a guest, and gives 2.1 GiB/s back. */
const INFLATE_PAGES_PER_SECOND = pages(235_929);
const DEFLATE_PAGES_PER_SECOND = pages(550_502);

/** The kernel as the driver sees it. */
export interface BalloonedKernel {
  /** Makes up to `count` frames free without killing anyone, and takes them out of the RAM it manages. Returns how many. */
  surrender(count: number): number;
  /** `count` frames more to manage. */
  receive(count: number): void;
}

export interface BalloonLinkOptions {
  readonly bootPages: Pages;
  readonly maximumPages: Pages;
  /** Of the boot memory, what the kernel holds for itself and never manages. */
  readonly ownPages: Pages;
}

export class BalloonLink {
  /** What the guest holds, kept from what the host granted; the driver's own count must agree. */
  #current: Pages;
  #asked: Pages;
  /** What was asked of the driver last: on the way to `#asked`, as far as a balloon gets in one tick. */
  #step: Pages;
  #isFresh = false;
  #workerDueAt = Infinity;
  #now = 0;
  readonly #driver: BalloonDriver;

  constructor(options: BalloonLinkOptions, kernel: BalloonedKernel, host: HostMemory) {
    const { bootPages, maximumPages, ownPages } = options;
    this.#current = bootPages;
    this.#asked = bootPages;
    this.#step = bootPages;
    const managed = subtractPages(bootPages, ownPages);
    const allocator = new LastFreedAllocator(
      regionOf(ownPages, managed),
      (count) => kernel.surrender(count),
      (count) => {
        kernel.receive(count);
      },
    );
    this.#driver = createBalloonDriver(
      {
        bootPages,
        extraRegions: regionOf(bootPages, subtractPages(maximumPages, bootPages)),
        highStart: maximumPages,
        maxRetryCount: 0,
      },
      {
        allocator,
        reservation: {
          increase: (_runs, count) => {
            const granted = pages(host.grant(count));
            this.#current = addPages(this.#current, granted);
            return { kind: 'granted', count: granted };
          },
          decrease: (_runs, count) => {
            host.giveBack(count);
            this.#current = subtractPages(this.#current, count);
            return count;
          },
        },
        hotplug: null,
        schedule: (delaySeconds) => void (this.#workerDueAt = this.#now + delaySeconds),
      },
    );
  }

  get currentPages(): Pages {
    return this.#current;
  }

  /** The driver's own books, for checks. */
  get driver(): BalloonDriver {
    return this.#driver;
  }

  /** Asks for a size. The latest wins; it takes effect in the next tick. */
  ask(target: Pages): void {
    if (target === this.#asked && this.#current === target) return;
    this.#asked = target;
    this.#isFresh = true;
  }

  /** When it has something to do next, in seconds of the world's time; `Infinity` when it is where it should be. */
  get dueAt(): number {
    const isOnItsWay = this.#current === this.#step && this.#step !== this.#asked;
    return this.#isFresh || isOnItsWay ? 0 : this.#workerDueAt;
  }

  /** The second that ends at `now` passes. It is called for every second in which `dueAt` is past. */
  tick(now: number): void {
    this.#now = now;
    if (this.dueAt > now) return;
    if (this.#isFresh || this.#current === this.#step) this.#takeStep();
    this.#workerDueAt = Infinity;
    this.#driver.runWorker();
  }

  #takeStep(): void {
    this.#isFresh = false;
    const most = addPages(this.#current, DEFLATE_PAGES_PER_SECOND);
    const least = subtractToZero(this.#current, INFLATE_PAGES_PER_SECOND);
    this.#step = maxPages(least, minPages(this.#asked, most));
    this.#driver.setTarget(this.#step);
  }
}

const regionOf = (start: Pages, length: Pages): readonly FrameRun[] => (length === 0 ? [] : [risingRun(start, length)]);
