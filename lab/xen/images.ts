/** What the Xen lab boots from: where the parts lie in a folder of the cache, and whether such a folder is of this version. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { keyOf } from '../cache.js';
import type { Kernel } from '../initrd.js';
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

/** An unpacked kernel package's parts; their names have its version in them. */
function kernelIn(folder: string): Kernel {
  const [boot, modules] = [join(folder, 'boot'), join(folder, 'lib', 'modules')];
  return { image: join(boot, UNPACKED_KERNEL), modules: join(modules, namesIn(modules)[0] ?? 'missing') };
}

/** The kernel as an ELF file: unpacking the packed one takes an emulated machine ten seconds, for each guest again. */
export const UNPACKED_KERNEL = 'vmlinux';

const namesIn = (folder: string): readonly string[] => (existsSync(folder) ? readdirSync(folder) : []);

/** The first part that is not there; null when all are. */
export function missingPart(images: XenImages): string | null {
  const parts = [images.xen, images.kernel.image, images.dom0Initrd, images.dom0Root, images.guestRoot];
  return parts.find((part) => !existsSync(part)) ?? null;
}
