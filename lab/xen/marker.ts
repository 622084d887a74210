/** Is the Xen lab set up, and where? */
import { cacheFolder } from '../cache.js';
import { findLab, markReady, type Markable } from '../marker.js';
import type { LabState } from '../mode.js';
import { imagesIn, missingPart, recipe, type XenImages } from './images.js';

const XEN_LAB: Markable<XenImages> = {
  name: 'Xen',
  file: 'xen-lab.json',
  recipe,
  imagesIn,
  missingPart,
  tools: ['qemu-system-x86_64', 'mke2fs', 'setpriv'],
};

/** Says that the lab is ready in `folder`. */
export function markXenReady(folder: string, cache = cacheFolder()): void {
  markReady(XEN_LAB, folder, cache);
}

/** Whether the lab can be booted now. Never throws. */
export const findXenLab = (cache = cacheFolder()): LabState<XenImages> => findLab(XEN_LAB, cache);
