/**
 * Pages that Xen counts as a domain's and no target does: its own within a guest, 16 in each PVH guest that was seen, 11 in each HVM guest.
 * Whoever has so many more than it was asked to hold is where it was asked to be, and on its way it has them too.
 */
import { addPages, kib, kibToPagesDown, NO_PAGES, pages, pagesToKib, subtractToZero, type Pages } from '../../units.js';
import type { DomainSight } from './sight.js';

/** More is no guest at rest. Xen's toolstack leaves 256 above a target for them (`LIBXL_MAXMEM_CONSTANT`). */
const UNCOUNTED_MAX = pages(64);

export class Uncounted {
  /** Of each domain, by its number, when it was last seen at rest. */
  readonly #seen = new Map<number, Pages>();

  /**
   * What each domain holds as its target counts it, by its number. `askedOf`: what it was last told to hold; null = nobody knows. Domains
   * that are not among them are forgotten.
   */
  without(domains: readonly DomainSight[], askedOf: (domid: number) => Pages | null): ReadonlyMap<number, DomainSight> {
    const counted = new Map(domains.map((domain) => [domain.domid, this.#counted(domain, askedOf(domain.domid))]));
    for (const domid of this.#seen.keys()) if (!counted.has(domid)) this.#seen.delete(domid);
    return counted;
  }

  /** As many as it may have beyond `target` of those that are counted, so that it has all of them. */
  with(domid: number, target: Pages): Pages {
    return addPages(target, this.#seen.get(domid) ?? UNCOUNTED_MAX);
  }

  #counted(domain: DomainSight, asked: Pages | null): DomainSight {
    const held = kibToPagesDown(domain.held);
    if (asked !== null && held >= asked && held - asked <= UNCOUNTED_MAX)
      this.#seen.set(domain.domid, pages(held - asked));
    const uncounted = this.#seen.get(domain.domid) ?? NO_PAGES;
    return uncounted === 0 ? domain : { ...domain, held: kib(pagesToKib(subtractToZero(held, uncounted))) };
  }
}
