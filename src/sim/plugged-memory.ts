/**
 * Memory that is plugged into a simulated guest beyond its boot memory, in whole blocks, as virtio's memory device does it: the host
 * asks, and the guest takes it and gives it up as far as it can. It does not know who asks, nor why.
 */
import { pages, type Pages } from '../units.js';
import type { BalloonedKernel } from './balloon-link.js';
import type { HostMemory } from './host-memory.js';

/** 2 MiB, as on x86. */
export const PLUG_BLOCK = pages(512);
/** Far below a balloon's speed: under software emulation 256 MiB were seen to take 6 s, and hardware is faster. */
const PLUG_PAGES_PER_SECOND = 64 * PLUG_BLOCK;

/** What a simulated guest has plugged in beyond its boot memory. Sizes are pages, in whole blocks of 2 MiB. */
export class PluggedMemory {
  readonly #kernel: BalloonedKernel;
  readonly #host: HostMemory;
  #pages = 0;
  #asked = 0;

  constructor(
    readonly pluggablePages: Pages,
    kernel: BalloonedKernel,
    host: HostMemory,
  ) {
    this.#kernel = kernel;
    this.#host = host;
  }

  get pluggedPages(): Pages {
    return pages(this.#pages);
  }
  get askedPages(): Pages {
    return pages(this.#asked);
  }
  /** Whether it is where it was asked to be. */
  get isSettled(): boolean {
    return this.#pages === this.#asked;
  }

  /** Asks it to have `plugged` pages, whole blocks. The latest wins; it takes effect with the next ticks. */
  ask(plugged: Pages): void {
    this.#asked = plugged;
  }

  /** So many seconds pass. */
  tick(seconds: number): void {
    const most = PLUG_PAGES_PER_SECOND * seconds;
    const way = this.#asked - this.#pages;
    if (way > 0) this.#plug(Math.min(way, most));
    else if (way < 0) this.#unplug(Math.min(-way, most));
  }

  /** All of it goes back to the host. */
  close(): void {
    this.#host.giveBack(this.#pages);
    this.#pages = 0;
  }

  #plug(wanted: number): void {
    const granted = this.#host.grant(wanted);
    const whole = granted - (granted % PLUG_BLOCK);
    this.#host.giveBack(granted - whole);
    this.#kernel.receive(whole);
    this.#pages += whole;
  }

  #unplug(wanted: number): void {
    const given = this.#kernel.surrender(wanted);
    const whole = given - (given % PLUG_BLOCK);
    this.#kernel.receive(given - whole);
    this.#host.giveBack(whole);
    this.#pages -= whole;
  }
}
