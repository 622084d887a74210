/**
 * Growing past what the guest booted with. It decides how much memory is added; when the memory comes online is hotplug's
 * business, and how it then reaches the guest is the worker's.
 *
 * Source: specification 2, "Growing past what the guest booted with".
 */
import { addPages, pages, type Pages } from '../units.js';
import type { Books } from './books.js';
import { BalloonBugError } from './bug.js';
import { countFrames } from './frame-run.js';
import type { MemoryHotplug } from './ports.js';

/** Adds what is missing, in whole sections. Without hotplug the target is set back to what the guest has. */
export function reserveAdditionalMemory(books: Books, hotplug: MemoryHotplug | null): 'wait' | 'cancelled' {
  if (hotplug === null) {
    books.targetPages = books.currentPages;
    return 'cancelled';
  }
  const missing = addPages(books.targetPages, books.targetUnpopulated) - books.totalPages;
  if (missing <= 0) return 'wait';
  const added = roundUpToSections(missing, hotplug.sectionPages);
  const answer = hotplug.reserve(added);
  if (answer.kind === 'refused') return 'cancelled';
  const count = countFrames(answer.pending);
  if (count !== added) throw new BalloonBugError(`memory hotplug added ${count} pages where ${added} were asked for`);
  books.expect(answer.pending);
  return 'wait';
}

const roundUpToSections = (count: number, sectionPages: Pages): Pages =>
  pages(Math.ceil(count / sectionPages) * sectionPages);
