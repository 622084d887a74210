/** `npm run lab:setup`: installs what the lab needs and builds its images, so that the first test run does not have to. */
import { installPackages, isDebian } from './debian.js';
import { buildXenImages } from './xen/images.js';

const PACKAGES = ['qemu-system-x86', 'debootstrap', 'cpio', 'e2fsprogs', 'busybox-static', 'kmod', 'util-linux'];

if (!isDebian() || process.getuid?.() !== 0) {
  console.error('The lab is set up on Debian, as root: it installs packages and makes root file systems.');
  process.exitCode = 1;
} else {
  await installPackages(PACKAGES);
  const { dom0Root } = await buildXenImages();
  console.log(`The Xen lab is ready: ${dom0Root}`);
}
