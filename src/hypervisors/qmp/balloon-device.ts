/**
 * Where a machine's balloon hangs in QEMU's tree of objects. `-device` puts it under `peripheral` with an id and under
 * `peripheral-anon` without one, machine types of their own and buses of virtio elsewhere: so the whole tree is searched, level by
 * level. It decides nothing about the balloon.
 */
import { decodeQomList, QmpError, type Qmp, type QomProperty } from '../../qmp/index.js';

/** Over PCI, CCW or MMIO (hw/virtio in QEMU 7.2 to 9). On a bus of its own the object is the last of these. */
const BALLOON = /^child<virtio-balloon-(pci|pci-transitional|pci-non-transitional|ccw|device)>$/;
const CHILD = /^child<.*>$/;
const ROOT = '/machine';
/** A machine with 30 devices has some 300 objects; listing one takes half a millisecond. */
const LISTED_MAX = 2_000;

/** The balloon's path, or null where there is none. Rejects with `QmpError` when QEMU does not answer. */
export async function findBalloon(qmp: Pick<Qmp, 'execute'>, signal: AbortSignal): Promise<string | null> {
  let level: readonly string[] = [ROOT];
  for (let listed = 0; level.length > 0;) {
    const next: string[] = [];
    for (const path of level) {
      if (listed >= LISTED_MAX) return null;
      listed += 1;
      const children = (await list(qmp, path, signal)).filter(({ type }) => CHILD.test(type));
      const balloon = children.find(({ type }) => BALLOON.test(type));
      if (balloon !== undefined) return `${path}/${balloon.name}`;
      next.push(...children.map(({ name }) => `${path}/${name}`));
    }
    level = next;
  }
  return null;
}

async function list(qmp: Pick<Qmp, 'execute'>, path: string, signal: AbortSignal): Promise<readonly QomProperty[]> {
  try {
    return decodeQomList(await qmp.execute('qom-list', { path }, { signal })) ?? [];
  } catch (error) {
    // It went away between two listings, or has a name that makes no path.
    if (error instanceof QmpError && error.qmpCode === 'EREFUSED') return [];
    throw error;
  }
}
