/**
 * What a guest was given again after it had been smaller, and has not touched: it holds it and may take it at any time, and its host, which
 * gives a page when it is touched, still counts it as free. So it must be kept from others. It does not know who looks.
 *
 * What a guest was found with and has never touched is not counted: how much more than there is his guests may hold was decided by whoever
 * started them.
 */
import { minPages, NO_PAGES, subtractToZero, type Pages } from '../units.js';

export class GivenAgain {
  #least: Pages | null = null;
  #untouched = NO_PAGES;

  get untouched(): Pages {
    return this.#untouched;
  }

  /** Whether it holds more than the least that it was seen to hold, so that what of it is in the host's memory matters. */
  hasMore(held: Pages): boolean {
    return this.#least !== null && held > this.#least;
  }

  /**
   * `held`: in all, plugged memory too. `resident`: what of the host's memory its process has, which is a little more than what of the guest is
   * there; null: not known, and then nothing is counted. Returns by how much more is untouched than before.
   */
  note(held: Pages, resident: Pages | null): Pages {
    const before = this.#untouched;
    if (this.#least === null || held < this.#least) this.#least = held;
    const given = subtractToZero(held, this.#least);
    this.#untouched = resident === null ? NO_PAGES : minPages(given, subtractToZero(held, resident));
    return subtractToZero(this.#untouched, before);
  }
}
