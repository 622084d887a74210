/** What one domain's QEMU says of its balloon at this moment: `virsh dommemstat`. It does not know what follows from it. */
import type { KiB } from '../units.js';
import { kibIn } from './numbers.js';

export const domainMemoryWords = (uuid: string): readonly string[] => ['dommemstat', uuid];

/**
 * What the guest keeps, without what virtio-mem has added; null: it does not say. libvirt asks QEMU for it (`query-balloon`), where the
 * statistics of all domains have what libvirt last heard of it, once a second at most.
 */
export function parseActual(lines: readonly string[]): KiB | null {
  for (const line of lines) {
    const [, size] = /^actual (\d+)$/.exec(line) ?? [];
    if (size !== undefined) return kibIn(size);
  }
  return null;
}
