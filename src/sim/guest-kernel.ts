/**
 * One guest's kernel, a tick at a time: the balloon moves, processes take and give memory, files are read, and reclaim makes
 * room, by dropping cache, by swapping, at last by killing. It does not know who asks for balloon targets, nor why.
 */
import { pages, subtractPages, type Pages } from '../units.js';
import { BalloonLink, type BalloonedKernel } from './balloon-link.js';
import { COPY_SECONDS, DISK_PAGES_PER_SECOND, DISK_READ_SECONDS, TOUCH_SECONDS } from './costs.js';
import { GuestMemory, type Anonymous } from './guest-memory.js';
import type { HostMemory } from './host-memory.js';
import { adoptWorkingSet, rereadFiles, streamFiles } from './page-cache.js';
import { PluggedMemory } from './plugged-memory.js';
import { PressureMeter } from './pressure.js';
import { SwapSpace } from './swap-space.js';
import { EphemeralPool, PersistentPool } from './tmem.js';
import { watermarksFor, type Watermarks } from './watermarks.js';
import { LATER, noDemand, SOON, type Demand, type Workload } from './workload.js';

/** What a simulated guest has. Sizes are pages of 4 KiB, 0 or more. */
export interface GuestKernelOptions {
  readonly bootPages: Pages;
  /** What the guest could hold at most; the rest starts in the balloon. */
  readonly maximumPages: Pages;
  /** What can be plugged in beyond that, in whole blocks. */
  readonly pluggablePages: Pages;
  readonly swapPages: Pages;
  /** The host keeps tmem for it: cleancache and frontswap. */
  readonly hasTmem: boolean;
  /** The world's time at which it boots, in seconds. */
  readonly startSeconds: number;
}

/** Kernel text, firmware and such: 16 MiB; and a `struct page` of 64 bytes for each frame that could ever be there. */
const OWN_PAGES = 4_096;
const FRAMES_PER_OWN_PAGE = 64;
/** Slab, page tables and stacks: 16 MiB, and 0.5 % of the guest. */
const KERNEL_PAGES = 4_096;
const KERNEL_SHARE = 0.005;

/** What a guest of `maximumPages` holds and its kernel never manages: `current` − `total`. */
export const ownPagesOf = (maximumPages: number): Pages =>
  pages(OWN_PAGES + Math.ceil(maximumPages / FRAMES_PER_OWN_PAGE));

/** The memory of one simulated guest, as its kernel would manage it, second by second. */
export class GuestKernel implements BalloonedKernel {
  readonly options: GuestKernelOptions;
  readonly watermarks: Watermarks;
  readonly memory: GuestMemory;
  readonly balloon: BalloonLink;
  readonly plugged: PluggedMemory;
  readonly pressure = new PressureMeter();
  readonly demand: Demand = noDemand();
  /** Counted since boot, as `/proc/vmstat` does: pages read again, faults that went to swap (frontswap too), processes killed. */
  refaults = 0;
  majorFaults = 0;
  oomKills = 0;
  /** When it is to be ticked next, in whole seconds of the world's time. */
  nextTickAt: number;
  readonly #workload: Workload;
  readonly #frontswap: PersistentPool | null;
  readonly #cleancache: EphemeralPool | null;
  #tickedAt: number;
  #askWorkloadAt: number;
  #diskReadsLeft = 0;

  /** Its `bootPages` must have been granted by `host` already. */
  constructor(options: GuestKernelOptions, workload: Workload, host: HostMemory) {
    const own = ownPagesOf(options.maximumPages);
    this.options = options;
    this.watermarks = watermarksFor(options.maximumPages);
    this.#workload = workload;
    this.#frontswap = options.hasTmem ? new PersistentPool(host) : null;
    this.#cleancache = options.hasTmem ? new EphemeralPool(host) : null;
    const kernel = KERNEL_PAGES + Math.ceil(options.maximumPages * KERNEL_SHARE);
    const swap = new SwapSpace(options.swapPages, this.#frontswap);
    this.memory = new GuestMemory(subtractPages(options.bootPages, own), kernel, swap, this.#cleancache);
    this.balloon = new BalloonLink({ ...options, ownPages: own }, this, host);
    this.plugged = new PluggedMemory(options.pluggablePages, this, host);
    this.#tickedAt = options.startSeconds;
    this.#askWorkloadAt = options.startSeconds;
    this.nextTickAt = options.startSeconds + SOON;
  }

  /** Pages of its in tmem. */
  get tmemPages(): { readonly persistent: number; readonly ephemeral: number } {
    return { persistent: this.#frontswap?.count ?? 0, ephemeral: this.#cleancache?.count ?? 0 };
  }

  get life(): string {
    return this.#workload.life;
  }

  /** Asks the balloon driver for a size; it starts to move with the next whole second. */
  setTarget(target: Pages, nowSeconds: number): void {
    this.balloon.ask(target);
    if (this.balloon.dueAt <= nowSeconds) this.nextTickAt = Math.min(this.nextTickAt, nowSeconds + SOON);
  }

  /** Asks for so many pages to be plugged in beyond boot memory; it begins with the next whole second. */
  setPlugged(plugged: Pages, nowSeconds: number): void {
    this.plugged.ask(plugged);
    this.nextTickAt = Math.min(this.nextTickAt, nowSeconds + SOON);
  }

  /**
   * Brings frontswap's pages home until at most `to` are left, as far as memory is free or holds cache that nobody reads.
   * Returns how many came.
   */
  shrinkFrontswap(to: Pages): number {
    const { memory } = this;
    const wanted = Math.max(0, memory.swap.frontswapPages - to);
    memory.dropCold(wanted + this.watermarks.high - memory.free, 'nobody');
    const room = Math.max(0, memory.free - this.watermarks.high);
    const home = memory.swap.removeFromFrontswap(Math.min(wanted, room));
    const cold = Math.min(home, memory.cold.swapped);
    moveHome(memory.cold, cold);
    moveHome(memory.hot, home - cold);
    return home;
  }

  /** The time up to `now` passes. */
  tick(now: number): void {
    const seconds = now - this.#tickedAt;
    this.#tickedAt = now;
    this.#diskReadsLeft = DISK_PAGES_PER_SECOND * seconds;
    this.memory.stalledSeconds = 0;
    if (this.balloon.dueAt <= now) this.balloon.tick(now);
    this.plugged.tick(seconds);
    if (this.#askWorkloadAt <= now) {
      this.#askWorkloadAt = now + this.#workload.demandAt(now, this.demand);
      adoptWorkingSet(this.memory, this.demand.fileHotPages);
    }
    this.#followDemand(now);
    this.#touchSwapped(seconds);
    this.#readFiles(seconds);
    this.#reclaimInBackground();
    this.pressure.observe(this.memory.stalledSeconds, seconds, this.#workload.tasks);
    this.nextTickAt = this.#planTick(now);
  }

  /** Its memory goes back to the host. It must not be ticked afterwards. */
  close(host: HostMemory): void {
    host.giveBack(this.balloon.currentPages);
    this.plugged.close();
    this.#frontswap?.close();
    this.#cleancache?.close();
  }

  surrender(count: number): number {
    const { memory, watermarks } = this;
    const spare = memory.free - watermarks.min;
    if (spare < count) memory.reclaim(count - Math.max(0, spare), 'nobody');
    const given = Math.max(0, Math.min(count, memory.free - watermarks.min));
    memory.ram -= given;
    return given;
  }

  receive(count: number): void {
    this.memory.ram += count;
  }

  #followDemand(now: number): void {
    const { hot, cold } = this.memory;
    const { hotPages, coldPages } = this.demand;
    this.#giveUp(hot, hotPages);
    this.#giveUp(cold, coldPages);
    if (this.#grow(cold, coldPages) && this.#grow(hot, hotPages)) return;
    this.oomKills += 1;
    this.#giveUp(hot, 0);
    this.#giveUp(cold, 0);
    this.#workload.restart(now);
    this.#askWorkloadAt = now + SOON;
    // Nothing of it runs until it has been started again.
    Object.assign(this.demand, noDemand());
    adoptWorkingSet(this.memory, 0);
  }

  #giveUp(part: Anonymous, wanted: number): void {
    const excess = part.resident + part.swapped - wanted;
    if (excess > 0) this.memory.release(part, excess);
  }

  /** False: there was not enough memory, and nothing left to reclaim. */
  #grow(part: Anonymous, wanted: number): boolean {
    const missing = wanted - part.resident - part.swapped;
    if (missing <= 0) return true;
    // Making room may swap some of `part` itself out; that changes where it is, not how much there is.
    const obtained = this.#obtain(missing);
    part.resident += obtained;
    return obtained + this.memory.growIntoSwap(part, missing - obtained) === missing;
  }

  /** Memory in use that lies in swap is touched, and must come home. */
  #touchSwapped(seconds: number): void {
    const { hot, swap } = this.memory;
    if (hot.swapped === 0) return;
    const touched = Math.ceil(hot.swapped * (1 - Math.exp(-seconds / TOUCH_SECONDS)));
    const home = Math.min(this.#obtain(Math.min(touched, this.#diskReadsLeft)), hot.swapped);
    // Who finds no room at all waits as for a disk.
    this.memory.stalledSeconds += Math.max(0, touched - home) * DISK_READ_SECONDS;
    if (home <= 0) return;
    const fromDisk = swap.remove(home);
    moveHome(hot, home);
    this.majorFaults += home;
    this.#diskReadsLeft -= fromDisk;
    this.memory.stalledSeconds += fromDisk * DISK_READ_SECONDS + (home - fromDisk) * COPY_SECONDS;
  }

  #readFiles(seconds: number): void {
    const limits = { seconds, diskReadsMax: this.#diskReadsLeft };
    const { refaults } = rereadFiles(this.memory, this.demand, limits, this.#obtain);
    this.refaults += refaults;
    streamFiles(this.memory, this.demand, seconds, this.watermarks.high);
  }

  /** `kswapd`: below the low watermark it works until the high one. */
  #reclaimInBackground(): void {
    const { memory, watermarks } = this;
    if (memory.free < watermarks.low) memory.reclaim(watermarks.high - memory.free, 'nobody');
  }

  /** Frees up to `wanted` pages for a task that waits. An arrow function, as it is handed on. */
  readonly #obtain = (wanted: number): number => {
    const { memory, watermarks } = this;
    const spare = memory.free - watermarks.min;
    if (spare < wanted) memory.reclaim(wanted - Math.max(0, spare), 'tasks');
    return Math.max(0, Math.min(wanted, memory.free - watermarks.min));
  };

  /**
   * Soon while memory in use is in swap, or the workload or the balloon move; otherwise with the next five whole seconds, the
   * same for all. Reading files does not need short ticks: what is found and what is missed follows a closed form.
   */
  #planTick(now: number): number {
    const isCalm = this.memory.hot.swapped === 0 && this.plugged.isSettled;
    const calm = isCalm ? now - (now % LATER) + LATER : now + SOON;
    return Math.max(now + SOON, Math.min(calm, this.#askWorkloadAt, this.balloon.dueAt));
  }
}

function moveHome(part: Anonymous, count: number): void {
  part.swapped -= count;
  part.resident += count;
}
