/** `npm run lab:setup`: installs what the lab needs, builds its images, and marks it as ready, so that test runs use it. */
import { installPackages, isDebian } from './debian.js';
import { buildXenImages } from './xen/build.js';
import { markXenReady } from './xen/marker.js';

const PACKAGES = [
  'qemu-system-x86',
  'debootstrap',
  'cpio',
  'e2fsprogs',
  'busybox-static',
  'kmod',
  'util-linux',
  'xz-utils',
];

if (!isDebian() || process.getuid?.() !== 0) {
  console.error('The lab is set up on Debian, as root: it installs packages and makes root file systems.');
  process.exitCode = 1;
} else {
  await installPackages(PACKAGES);
  const folder = await buildXenImages();
  markXenReady(folder);
  console.log(`The Xen lab is ready: ${folder}`);
}
