/** dom0 of the Xen lab: Debian with Xen's tools and Node.js, and what guests are booted from. */
import { cpSync, mkdirSync, realpathSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { copyModules, makeExt4, makeInitrd, writeScript, type Kernel } from '../initrd.js';
import { BLOCK_SCRIPT, DOM0_INIT, DOM0_INITRD_INIT } from './scripts.js';

export const DOM0_PACKAGES = [
  'xen-utils-4.17',
  'xen-hypervisor-4.17-amd64',
  'xenstore-utils',
  'libxenmisc4.17',
  'kmod',
  'iproute2',
  'procps',
  'busybox-static',
  'libstdc++6',
] as const;

/** Where dom0 keeps what guests are booted from. */
export const GUEST_KERNEL = '/guest/vmlinux';
export const GUEST_INITRD = '/guest/initrd.gz';

const IMAGE_MIB = 1_000;
const MODULES = ['xen-evtchn', 'xen-gntdev', 'xen-gntalloc', 'xen-privcmd', 'xenfs', 'xen-blkback', 'loop'];
const INITRD_MODULES = ['crc32c_generic', 'nvme', 'ext4', 'virtio_pci', 'virtio_console'];

export interface Dom0Parts {
  /** Where the images are put. */
  readonly folder: string;
  /** A debootstrapped tree with `DOM0_PACKAGES`. */
  readonly root: string;
  readonly kernel: Kernel;
  readonly guestInitrd: string;
}

export async function buildDom0({ folder, root, kernel, guestInitrd }: Dom0Parts): Promise<void> {
  copyModules(kernel, MODULES, join(root, 'mod'));
  cpSync(realpathSync(process.execPath), join(root, 'usr', 'bin', 'node'));
  for (const name of ['app', 'guest', join('var', 'lib', 'xenstored')])
    mkdirSync(join(root, name), { recursive: true });
  // As `npm install -g` would.
  symlinkSync('/app/bin/selfballoon', join(root, 'usr', 'bin', 'selfballoon'));
  cpSync(kernel.image, join(root, GUEST_KERNEL));
  cpSync(guestInitrd, join(root, GUEST_INITRD));
  writeScript(join(root, 'sbin', 'lab-init'), DOM0_INIT);
  writeScript(join(root, 'etc', 'xen', 'scripts', 'block-lab'), BLOCK_SCRIPT);
  await makeExt4(root, join(folder, 'dom0.img'), IMAGE_MIB);
  await makeInitrd({
    kernel,
    modules: INITRD_MODULES,
    busybox: join(root, 'bin', 'busybox'),
    init: DOM0_INITRD_INIT,
    folder: join(folder, 'dom0-initrd'),
    output: join(folder, 'dom0-initrd.gz'),
  });
}
