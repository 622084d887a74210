/**
 * dom0 as one of the domains: what it needs it can read from its own kernel. It is only watched unless somebody asks for more, for
 * every guest's disks and networks go through it.
 */
import type { Reading } from '../../control/reading.js';
import { stamp, type Signal } from '../../control/signal.js';
import { openGuestReader } from '../../signals/guest-reader.js';
import { kibToPagesDown, maxPages, type Millis, type Pages } from '../../units.js';
import { readingOf, type DomainRecord } from './domain-record.js';
import type { DomainSight } from './sight.js';

export interface Dom0Options {
  /** Its balloon is moved as those of guests are. */
  readonly isDriven: boolean;
  /** The least that it is ever set to. */
  readonly floor: Pages;
  /** The folder that has its `proc` in it. `/`. */
  readonly root: string;
}

export interface Dom0Reader {
  read(record: DomainRecord, sight: DomainSight, at: Millis): Reading;
  close(): void;
}

export function createDom0Reader(options: Dom0Options, now: () => Millis): Dom0Reader {
  const reader = openGuestReader({ root: options.root, now });
  /**
   * The most that it was seen to hold, and Xen's limit where there is one (`dom0_mem=…,max:…`): a daemon that begins when dom0 was
   * shrunk already would know of no more than that otherwise.
   */
  let most: Pages | null = null;
  return {
    read(record, sight, at) {
      const fromOutside = readingOf(record, sight, at);
      const held = kibToPagesDown(sight.held);
      const could = sight.maximum === null ? held : maxPages(held, kibToPagesDown(sight.maximum));
      most = most === null ? could : maxPages(most, could);
      const maximum: Signal<Pages> = stamp({ known: true, value: most }, at);
      const { current, asked, used } = fromOutside;
      return { ...reader.read(), current, asked, used, maximum, at: now() };
    },
    close: () => {
      reader.close();
    },
  };
}
