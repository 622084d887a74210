/** `npm run lab:setup`: installs what the lab needs, builds its images, and marks it as ready, so that test runs use it. */
import { installPackages, isDebian } from './debian.js';
import { LIBVIRT_PACKAGES } from './libvirt/daemon.js';
import { buildQemuImages, QEMU_LAB_PACKAGES } from './qemu/build.js';
import { markQemuReady } from './qemu/marker.js';
import { buildXenImages } from './xen/build.js';
import { markXenReady } from './xen/marker.js';

const PACKAGES = [
  'qemu-system-x86',
  'debootstrap',
  'cpio',
  'e2fsprogs',
  'kmod',
  'util-linux',
  'xz-utils',
  ...QEMU_LAB_PACKAGES,
  ...LIBVIRT_PACKAGES,
];

// Its tools end with it: `runTool` sees to that when this process exits.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

if (!isDebian() || process.getuid?.() !== 0) {
  console.error('The lab is set up on Debian, as root: it installs packages and makes root file systems.');
  process.exitCode = 1;
} else {
  await installPackages(PACKAGES);
  const qemu = await buildQemuImages();
  markQemuReady(qemu);
  console.log(`The QEMU lab is ready: ${qemu}`);
  const xen = await buildXenImages();
  markXenReady(xen);
  console.log(`The Xen lab is ready: ${xen}`);
}
