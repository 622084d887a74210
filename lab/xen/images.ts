/** What the Xen lab boots from: where the parts lie in a folder of the cache, and whether such a folder is of this version. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { keyOf } from '../cache.js';
import type { Kernel } from '../initrd.js';
import { kernelIn } from '../kernel.js';
import { BLOCK_SCRIPT, DOM0_INIT, DOM0_INITRD_INIT, GUEST_INIT, GUEST_INITRD_INIT } from './scripts.js';

export interface XenImages {
  /** The hypervisor, an ELF file. */
  readonly xen: string;
  readonly kernel: Kernel;
  readonly dom0Initrd: string;
  readonly dom0Root: string;
  /** The root file system that all guests share, read-only. */
  readonly guestRoot: string;
}

/** Raised when something else is built from the same packages and scripts. */
const LAYOUT = '5';

/** Names how the images are made, whatever packages they are made of. */
export const recipe = (): string =>
  keyOf(LAYOUT, BLOCK_SCRIPT, DOM0_INIT, DOM0_INITRD_INIT, GUEST_INIT, GUEST_INITRD_INIT);

/** The parts in `folder`, whether or not they have been made yet. */
export function imagesIn(folder: string): XenImages {
  return {
    xen: join(folder, 'xen.elf'),
    kernel: kernelIn(join(folder, 'kernel')),
    dom0Initrd: join(folder, 'dom0-initrd.gz'),
    dom0Root: join(folder, 'dom0.img'),
    guestRoot: join(folder, 'guest.img'),
  };
}

/** The first part that is not there; null when all are. */
export function missingPart(images: XenImages): string | null {
  const parts = [images.xen, images.kernel.image, images.dom0Initrd, images.dom0Root, images.guestRoot];
  return parts.find((part) => !existsSync(part)) ?? null;
}
