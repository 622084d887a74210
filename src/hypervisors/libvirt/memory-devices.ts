/**
 * The memory devices of a domain: which of them its balloon does not count; which are virtio-mem, what is plugged into those by libvirt's
 * description, and in which words they are asked for more. It does not know how much that should be.
 *
 * libvirt adds what is plugged in to what it says that a domain has, `balloon.current` and `<currentMemory>` alike, and takes targets
 * without it; so it is on libvirt 9.0.
 */
import { pluggableIn } from '../../adapter/plug-devices.js';
import type { SeenPlug } from '../../adapter/plug-spread.js';
import type { PlugSizes } from '../../signals/plugged.js';
import { addPages, kib, kibToPagesDown, maxPages, NO_PAGES, pagesToKib, type KiB, type Pages } from '../../units.js';
import { VIRTIO_MEM, type DomainShape } from '../../virsh/index.js';

/** One device. Its key is its alias, libvirt's name for it. */
export type DomainPlug = SeenPlug;

/** Those that can be asked for something. Without a balloon a domain is only watched, and has none. */
export function plugsOf({ balloon, memoryDevices }: DomainShape): readonly DomainPlug[] {
  if (balloon === null) return [];
  return memoryDevices.flatMap(({ model, alias, size, block, requested, current }): readonly DomainPlug[] => {
    if (model !== VIRTIO_MEM || alias === null || size === null || block === null) return [];
    const inPages = (part: typeof size | null): Pages | null => (part === null ? null : kibToPagesDown(part));
    const device = { key: alias, maximum: kibToPagesDown(size), block: kibToPagesDown(block) };
    return device.block === 0 ? [] : [{ ...device, plugged: inPages(current), asked: inPages(requested) }];
  });
}

/** What all of them have together; null where libvirt does not say it of each. */
export function sizesOf(plugs: readonly DomainPlug[]): PlugSizes | null {
  let [plugged, asked] = [NO_PAGES, NO_PAGES];
  for (const plug of plugs) {
    if (plug.plugged === null || plug.asked === null) return null;
    [plugged, asked] = [addPages(plugged, plug.plugged), addPages(asked, plug.asked)];
  }
  return { plugged, asked, pluggable: maxPages(pluggableIn(plugs), plugged) };
}

/**
 * What its devices have at their largest that libvirt counts as the domain's memory and QEMU's balloon does not: all but DIMMs
 * (`get_current_ram_size` in QEMU's hw/virtio/virtio-balloon.c), so NVDIMMs and virtio-pmem, which are storage, and virtio-mem.
 */
export const outsideBalloonIn = ({ memoryDevices }: DomainShape): KiB =>
  kib(memoryDevices.reduce((sum, { model, size }) => sum + (model === DIMM ? 0 : (size ?? 0)), 0));

const DIMM = 'dimm';

/** The words that ask a device to have so much plugged in: the running domain alone, not its configuration. */
export const setGrowthWords = (uuid: string, alias: string, plugged: Pages): readonly string[] => [
  ...['update-memory-device', uuid, '--alias', alias],
  ...['--requested-size', String(pagesToKib(plugged)), '--live'],
];
