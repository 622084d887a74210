/**
 * What in the description of a domain lets its QEMU keep all memory, whatever the guest gives up: huge pages, locked memory, and devices for
 * which all of it is pinned. It does not know what follows.
 */
import type { XmlElement } from '@rgrove/parse-xml';
import { childOf, childrenOf } from './elements.js';

/** The first that is found, in the description's words; null: nothing. */
export function keptIn(memoryBacking: XmlElement | null, devices: XmlElement | null): string | null {
  if (childrenOf(memoryBacking, 'hugepages').some(isHuge)) return '<hugepages/> in <memoryBacking>';
  if (childOf(memoryBacking, 'locked') !== null) return '<locked/> in <memoryBacking>';
  for (const [name, isPinning] of PINNING) {
    const device = childrenOf(devices, name).find(isPinning);
    if (device !== undefined) return `<${name} type='${device.attributes['type'] ?? ''}'>`;
  }
  return null;
}

/** libvirt takes the ordinary size of a page as ordinary memory. */
function isHuge(hugepages: XmlElement): boolean {
  const pages = childrenOf(hugepages, 'page');
  return pages.length === 0 || pages.some((page) => !isOrdinary(page));
}

const isOrdinary = ({ attributes: { size, unit = 'KiB' } }: XmlElement): boolean => size === '4' && unit === 'KiB';

const typeIs =
  (...types: readonly string[]) =>
  ({ attributes: { type = '' } }: XmlElement): boolean =>
    types.includes(type);

/** QEMU itself leaves ballooning on with these two kinds of mediated devices, of IBM Z: they pin what they use alone. */
const isPinningHostdev = (device: XmlElement): boolean =>
  typeIs('pci')(device) ||
  (typeIs('mdev')(device) && !['vfio-ccw', 'vfio-ap'].includes(device.attributes['model'] ?? ''));

const PINNING: readonly (readonly [string, (device: XmlElement) => boolean])[] = [
  ['hostdev', isPinningHostdev],
  ['interface', typeIs('hostdev', 'vdpa')],
  ['disk', typeIs('vhostvdpa')],
];
