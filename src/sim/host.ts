/**
 * A simulated host: limited memory, guests that share it, and the time they live in. All guests live through each second
 * together, in the order in which they came, for they compete for the same memory. It decides nothing about targets.
 */
import type { Reading } from '../control/reading.js';
import { SelfballoonError } from '../errors.js';
import { addPages, millis, NO_PAGES, type Millis, type Pages } from '../units.js';
import { GuestKernel, ownPagesOf } from './guest-kernel.js';
import { readGuest } from './guest-signals.js';
import { HostMemory } from './host-memory.js';
import { PLUG_BLOCK } from './plugged-memory.js';
import { createRandomStream } from './random.js';
import type { WorkloadFactory } from './workload.js';

/** A simulated guest as it is to be started. */
export interface SimGuestOptions {
  /** Unique on its host; 1 to 200 characters. Also names its random stream. */
  readonly name: string;
  /** What it holds at start. */
  readonly bootPages: Pages;
  /** What it could hold at most; the rest is in the balloon at start. */
  readonly maximumPages: Pages;
  /** What can be plugged in beyond that: whole blocks of 2 MiB. Default 0: nothing. */
  readonly pluggablePages?: Pages;
  readonly workload: WorkloadFactory;
  /** Size of its swap disk. Default: as much as `maximumPages`, so that a mistake costs time and not a process. */
  readonly swapPages?: Pages;
  /** The host keeps tmem for it. Default true; false: no cleancache, no frontswap, no overflow tier. */
  readonly hasTmem?: boolean;
}

/** A simulated host as it is at its start, without guests. */
export interface SimHostOptions {
  readonly totalPages: Pages;
  /** The same seed makes the same world. */
  readonly seed: number;
  /** The world's time at start. Default 0. */
  readonly startAt?: Millis;
  /** Called after each second in which something happened. For checks and recordings; it must not change anything. */
  readonly afterTick?: (host: SimHost) => void;
}

/** One guest on a simulated host. It stays readable after it was removed, but nothing moves any more. */
export interface SimGuest {
  readonly name: string;
  readonly kernel: GuestKernel;
  /** What it says of itself. */
  read(): Reading;
  /** Asks its balloon driver for a size. */
  setTarget(target: Pages): void;
  /** Asks it to have so much plugged in beyond its boot memory: whole blocks, at most what can be. */
  setGrowth(plugged: Pages): void;
}

const NAME_LENGTH_MAX = 200;
const GUESTS_MAX = 100_000;

const refuse = (guest: string, message: string, advice: string): SelfballoonError =>
  new SelfballoonError({ code: 'EINVAL', guest, message, advice });

/** A simulated host with its guests. Time goes on only when it is told to. */
export class SimHost {
  readonly memory: HostMemory;
  readonly #seed: number;
  readonly #afterTick: ((host: SimHost) => void) | null;
  readonly #guests = new Map<string, SimGuest>();
  readonly #listeners = new Set<() => void>();
  /** The kernels in the order of `#guests`: what the loop over time goes through. */
  #kernels: GuestKernel[] = [];
  #now: Millis;
  /** The last whole second that was lived through. */
  #second: number;

  constructor(options: SimHostOptions) {
    this.memory = new HostMemory(options.totalPages);
    this.#seed = options.seed;
    this.#afterTick = options.afterTick ?? null;
    this.#now = options.startAt ?? millis(0);
    this.#second = Math.floor(this.#now / 1000);
  }

  get now(): Millis {
    return this.#now;
  }

  /** Sum of what the guests could hold at most. */
  get maximaPages(): Pages {
    let sum = NO_PAGES;
    for (const { options } of this.#kernels) {
      sum = addPages(sum, addPages(options.maximumPages, options.pluggablePages));
    }
    return sum;
  }

  guests(): Iterable<SimGuest> {
    return this.#guests.values();
  }

  guest(name: string): SimGuest | null {
    return this.#guests.get(name) ?? null;
  }

  /** Boots a guest now. Throws `SelfballoonError`: `EINVAL` for options that cannot be, `ENOMEM` when the host has no room. */
  addGuest(options: SimGuestOptions): SimGuest {
    this.#checkOptions(options);
    const { name, bootPages, maximumPages } = options;
    if (this.memory.grantablePages < bootPages) {
      throw new SelfballoonError({
        code: 'ENOMEM',
        guest: name,
        message: `cannot boot with ${bootPages} pages: the simulated host has ${this.memory.grantablePages} left`,
        advice: 'Give it fewer boot pages, or shrink other guests first',
      });
    }
    this.memory.grant(bootPages);
    const kernel = new GuestKernel(
      {
        bootPages,
        maximumPages,
        pluggablePages: options.pluggablePages ?? NO_PAGES,
        swapPages: options.swapPages ?? maximumPages,
        hasTmem: options.hasTmem ?? true,
        startSeconds: this.#second,
      },
      options.workload(maximumPages, createRandomStream(this.#seed, name)),
      this.memory,
    );
    const guest = this.#enter(name, kernel);
    this.#changed();
    return guest;
  }

  /** Ends a guest; its memory is the host's again. False when there is none of that name. */
  removeGuest(name: string): boolean {
    const guest = this.#guests.get(name);
    if (guest === undefined) return false;
    this.#guests.delete(name);
    this.#kernels = this.#kernels.filter((kernel) => kernel !== guest.kernel);
    guest.kernel.close(this.memory);
    this.#changed();
    return true;
  }

  /** Calls `listener` after each coming and going, until the function that it returns is called. */
  onGuestsChanged(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Lives through the time up to `at`. Throws `RangeError` when that is in the past. */
  advanceTo(at: Millis): void {
    if (at < this.#now) throw new RangeError(`the simulated host cannot go back from ${this.#now} ms to ${at} ms`);
    const until = Math.floor(at / 1000);
    while (this.#second < until) {
      this.#second += 1;
      this.#now = millis(this.#second * 1000);
      if (this.#tick(this.#second)) this.#afterTick?.(this);
    }
    this.#now = at;
  }

  /** Every page is in exactly one account. Throws `Error` when that is not so: then the simulator has a bug. */
  assertBalanced(): void {
    let held = 0;
    let persistent = 0;
    let ephemeral = 0;
    for (const [name, { kernel }] of this.#guests) {
      assertSound(name, kernel);
      held += kernel.balloon.currentPages + kernel.plugged.pluggedPages;
      persistent += kernel.tmemPages.persistent;
      ephemeral += kernel.tmemPages.ephemeral;
    }
    const { memory } = this;
    assertEqual('pages held by guests', held, memory.guestPages);
    assertEqual('persistent tmem pages', persistent, memory.persistentPages);
    assertEqual('ephemeral tmem pages', ephemeral, memory.ephemeralPages);
    assertEqual('pages of the host', memory.freePages + held + persistent + ephemeral, memory.totalPages);
  }

  #tick(second: number): boolean {
    let hasTicked = false;
    for (const kernel of this.#kernels) {
      if (kernel.nextTickAt > second) continue;
      kernel.tick(second);
      hasTicked = true;
    }
    return hasTicked;
  }

  #enter(name: string, kernel: GuestKernel): SimGuest {
    const guest: SimGuest = {
      name,
      kernel,
      read: () => readGuest(kernel, this.#now),
      setTarget: (target) => {
        kernel.setTarget(target, this.#second);
      },
      setGrowth: (plugged) => {
        kernel.setPlugged(plugged, this.#second);
      },
    };
    this.#guests.set(name, guest);
    this.#kernels.push(kernel);
    return guest;
  }

  #checkOptions({ name, bootPages, maximumPages, pluggablePages = NO_PAGES }: SimGuestOptions): void {
    if (name === '' || name.length > NAME_LENGTH_MAX) {
      throw refuse(name, `a name has 1 to ${NAME_LENGTH_MAX} characters, not ${name.length}`, 'Choose another');
    }
    if (this.#guests.has(name)) throw refuse(name, 'there is a guest of that name already', 'Choose another');
    if (this.#guests.size >= GUESTS_MAX) throw refuse(name, `there are ${GUESTS_MAX} guests already`, 'Remove some');
    if (pluggablePages % PLUG_BLOCK !== 0) {
      throw refuse(name, `${pluggablePages} pages cannot be plugged in`, `It must be whole blocks of ${PLUG_BLOCK}`);
    }
    const least = 2 * ownPagesOf(maximumPages);
    if (bootPages > maximumPages || bootPages < least) {
      const asked = `boots with ${bootPages} pages of at most ${maximumPages}`;
      throw refuse(name, asked, `It needs at least ${least} to boot, and not more than its maximum`);
    }
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

function assertEqual(what: string, seen: number, expected: number): void {
  if (seen !== expected) throw new Error(`simulator bug: ${what}: ${seen} counted, ${expected} in the books`);
}

function assertSound(name: string, kernel: GuestKernel): void {
  const { memory, balloon } = kernel;
  assertEqual(`guest ${name}: the driver's current pages`, balloon.driver.stats.currentPages, balloon.currentPages);
  const own = ownPagesOf(kernel.options.maximumPages);
  assertEqual(`guest ${name}: RAM managed`, memory.ram, balloon.currentPages - own + kernel.plugged.pluggedPages);
  assertEqual(`guest ${name}: pages in swap`, memory.hot.swapped + memory.cold.swapped, memory.swap.usedPages);
  const counts = [memory.free, memory.cacheHot, memory.cacheCold, memory.cacheCold - memory.dirty, memory.droppedHot];
  counts.push(memory.hot.resident, memory.hot.swapped, memory.cold.resident, memory.cold.swapped);
  counts.push(memory.swap.diskPages, memory.swap.roomPages, memory.stalledSeconds);
  if (counts.some((count) => !(count >= 0))) {
    throw new Error(`simulator bug: guest ${name}: a count is below 0: ${counts.join(', ')}`);
  }
}
