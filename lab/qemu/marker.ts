/** Is the QEMU lab set up, and where? */
import { cacheFolder } from '../cache.js';
import { findLab, markReady, type Markable } from '../marker.js';
import type { LabState } from '../mode.js';
import { imagesIn, missingPart, recipe, type QemuImages } from './images.js';

const QEMU_LAB: Markable<QemuImages> = {
  name: 'QEMU',
  file: 'qemu-lab.json',
  recipe,
  imagesIn,
  missingPart,
  tools: ['qemu-system-x86_64', 'mke2fs', 'setpriv'],
};

/** Says that the lab is ready in `folder`. */
export function markQemuReady(folder: string, cache = cacheFolder()): void {
  markReady(QEMU_LAB, folder, cache);
}

/** Whether guests can be booted now. Never throws. */
export const findQemuLab = (cache = cacheFolder()): LabState<QemuImages> => findLab(QEMU_LAB, cache);
