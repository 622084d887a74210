/** What a guest's kernel would report of itself, as the signals that most sources of guests fill in. */
import { knownAt, NOT_REPORTED, type Signal } from '../control/signal.js';
import type { Reading } from '../control/reading.js';
import { addPages, pages, subtractToZero, type Millis, type Pages } from '../units.js';
import type { GuestKernel } from './guest-kernel.js';

/** One look at `kernel`, finished at `at`. */
export function readGuest(kernel: GuestKernel, at: Millis): Reading {
  const { memory, options, watermarks, pressure } = kernel;
  const { pluggedPages, askedPages, pluggablePages } = kernel.plugged;
  const count = (value: number): Signal<Pages> => knownAt(pages(value), at);
  const reading = {
    at,
    current: knownAt(addPages(kernel.balloon.currentPages, pluggedPages), at),
    asked: NOT_REPORTED,
    maximum: knownAt(addPages(options.maximumPages, pluggablePages), at),
    total: count(memory.ram),
    free: count(memory.free),
    available: knownAt(availablePages(kernel), at),
    cached: count(memory.cached),
    committed: count(kernel.demand.committedPages),
    reserve: count(watermarks.reserve),
    // Frames are numbered from 0 without holes.
    maxPfn: knownAt(addPages(options.maximumPages, pluggedPages), at),
    used: NOT_REPORTED,
    swapTotal: count(memory.swap.totalPages),
    swapUsed: count(memory.swap.usedPages),
    overflowUsed: count(memory.swap.frontswapPages),
    refaults: knownAt(kernel.refaults, at),
    majorFaults: knownAt(kernel.majorFaults, at),
    oomKills: knownAt(kernel.oomKills, at),
    pressure: knownAt({ somePercent: pressure.somePercent, fullPercent: pressure.fullPercent }, at),
  };
  if (pluggablePages === 0) return reading;
  const growth = { plugged: count(pluggedPages), asked: count(askedPages), pluggable: count(pluggablePages) };
  return { ...reading, growth };
}

/** `MemAvailable`: free beyond the reserve, and the page cache but for the part that is needed to run at all. */
function availablePages({ memory, watermarks }: GuestKernel): Pages {
  const { cached } = memory;
  const usableCache = cached - Math.min(Math.floor(cached / 2), watermarks.low);
  return subtractToZero(pages(memory.free + usableCache), pages(watermarks.reserve));
}
