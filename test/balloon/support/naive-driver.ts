/** The specification again, one frame at a time, as slow and as plain as possible. The real driver must be like it. */
import type { FrameWorld } from './frame-world.js';

const BATCH = 512;

export interface NaiveOptions {
  readonly highStart: number;
  readonly maxRetryCount: number;
}

export class NaiveDriver {
  readonly #world: FrameWorld;
  readonly #options: NaiveOptions;
  list: number[] = [];
  lent = new Set<number>();
  current: number;
  target: number;
  unpopulated = 0;
  total: number;
  delay = 1;
  retries = 1;
  hotplugUnpopulated = false;

  constructor(world: FrameWorld, options: NaiveOptions) {
    this.#world = world;
    this.#options = options;
    const { bootPages, extraPages } = world.options;
    this.current = bootPages;
    this.target = bootPages;
    this.total = bootPages + extraPages;
    for (let at = 0; at < extraPages; at += 1) this.#append(bootPages + at);
  }

  get stats(): Record<string, number> {
    const low = this.list.filter((frame) => frame < this.#options.highStart).length;
    return {
      currentPages: this.current,
      targetPages: this.target,
      targetUnpopulated: this.unpopulated,
      balloonLow: low,
      balloonHigh: this.list.length - low,
      totalPages: this.total,
      scheduleDelay: this.delay,
      maxScheduleDelay: 32,
      retryCount: this.retries,
      maxRetryCount: this.#options.maxRetryCount,
    };
  }

  setTarget(target: number): void {
    this.target = target;
    this.#world.scheduled.push(0);
  }

  runWorker(): string {
    for (;;) {
      const credit = this.target - this.current;
      let outcome = 'done';
      if (credit > 0) outcome = this.list.length > 0 ? this.#increase(credit) : this.#addMemory();
      if (credit < 0) outcome = this.#decrease(-credit);
      outcome = this.#updateSchedule(outcome);
      if (outcome === 'again') this.#world.scheduled.push(this.delay);
      if (credit === 0 || outcome !== 'done') return outcome;
    }
  }

  /** Null: out of memory. */
  lend(count: number): number[] | null {
    this.unpopulated += count;
    const taken: number[] = [];
    while (taken.length < count) {
      const head = this.list[0];
      if (head !== undefined && head < this.#options.highStart) {
        taken.push(head);
        this.list.shift();
      } else if (!this.#addBallooned(count - taken.length)) {
        for (const frame of taken) this.#append(frame);
        this.#settle(count);
        return null;
      }
    }
    for (const frame of taken) this.lent.add(frame);
    return taken;
  }

  takeBack(frames: readonly number[]): void {
    for (const frame of frames) {
      this.lent.delete(frame);
      this.#append(frame);
    }
    this.#settle(frames.length);
  }

  bringOnline(frames: readonly number[]): void {
    for (const frame of frames) this.#append(frame);
    this.#world.scheduled.push(0);
  }

  #append(frame: number): void {
    if (this.list.includes(frame)) throw new Error(`frame ${frame} is on the list twice`);
    if (frame < this.#options.highStart) this.list.unshift(frame);
    else this.list.push(frame);
  }

  #settle(count: number): void {
    this.unpopulated -= count;
    if (this.target !== this.current) this.#world.scheduled.push(0);
  }

  #increase(credit: number): string {
    const granted = this.#world.increase(Math.min(credit, BATCH, this.list.length));
    if (granted === null || granted === 0) return 'again';
    for (let at = 0; at < granted; at += 1) this.#world.put(this.list.splice(0, 1));
    this.current += granted;
    return 'done';
  }

  #decrease(wanted: number): string {
    const batch = Math.min(wanted, BATCH);
    const taken = this.#world.take(batch);
    for (const frame of [...taken].reverse()) this.#append(frame);
    this.#world.hypervisorFree += taken.length;
    this.current -= taken.length;
    return taken.length === batch ? 'done' : 'again';
  }

  #addMemory(): string {
    if (!this.#world.options.hasHotplug) {
      this.target = this.current;
      return 'cancelled';
    }
    const missing = this.target + this.unpopulated - this.total;
    if (missing <= 0) return 'wait';
    let count = 0;
    while (count < missing) count += this.#world.options.sectionPages;
    if (this.#world.reserve(count) === null) return 'cancelled';
    this.total += count;
    return 'wait';
  }

  #addBallooned(missing: number): boolean {
    if (this.hotplugUnpopulated && this.#world.options.hasHotplug && this.#addMemory() === 'wait') {
      const online = this.#world.takePending();
      for (const section of online) this.bringOnline(section);
      if (online.length > 0) return true;
      if (this.list.length > 0) return false;
    }
    return this.#decrease(missing) === 'done';
  }

  #updateSchedule(outcome: string): string {
    if (outcome === 'done') {
      this.delay = 1;
      this.retries = 1;
    }
    if (outcome !== 'again') return outcome;
    this.retries += 1;
    if (this.#options.maxRetryCount > 0 && this.retries > this.#options.maxRetryCount) {
      this.delay = 1;
      this.retries = 1;
      return 'cancelled';
    }
    this.delay = Math.min(this.delay * 2, 32);
    return outcome;
  }
}
