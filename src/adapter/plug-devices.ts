/**
 * The devices through which one guest can have memory plugged in, as adapters find them: in which steps that can be done, and how much can
 * be plugged in. It does not know how much that should be, nor how it is spread over them.
 */
import { NO_PAGES, pages, type Pages } from '../units.js';

/** What stays the same of one device. */
export interface PlugDevice {
  /** Most that it can add. */
  readonly maximum: Pages;
  /** It adds whole blocks of so many pages, 1 or more: a power of two. */
  readonly block: Pages;
}

/** In which steps all of them can be plugged in and out; null: there are none. */
export const blockOf = (plugs: readonly PlugDevice[]): Pages | null =>
  plugs.length === 0 ? null : pages(Math.max(...plugs.map(({ block }) => block)));

/** Most that it can add in steps of `block`. */
export const capacityOf = ({ maximum }: PlugDevice, block: Pages): Pages => pages(Math.floor(maximum / block) * block);

/** Most that can be plugged into all of them: whole blocks. */
export function pluggableIn(plugs: readonly PlugDevice[]): Pages {
  const block = blockOf(plugs);
  if (block === null) return NO_PAGES;
  return pages(plugs.reduce((total, plug) => total + capacityOf(plug, block), 0));
}
