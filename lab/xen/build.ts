/** Builds what the Xen lab boots from: once for each set of package versions, and kept in the cache. Needs root, on Debian. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { cached, keyOf } from '../cache.js';
import { candidateVersion, dependencyOf, unpackPackage } from '../debian.js';
import { runTool } from '../tool.js';
import { buildDom0, DOM0_PACKAGES } from './build-dom0.js';
import { buildGuest } from './build-guest.js';
import { imagesIn, missingPart, recipe, UNPACKED_KERNEL } from './images.js';

/** Seen: 75 s. A slow mirror takes its time. */
const DEBOOTSTRAP_LIMIT_MS = 900_000;
/** The release whose packages dom0 is made of; its kernel comes from the machine's own. */
const RELEASE = 'bookworm';

/** Everything that does not depend on the program under test; returns its folder. Takes two minutes the first time. */
export async function buildXenImages(): Promise<string> {
  const kernelPackage = await dependencyOf('linux-image-amd64', /^linux-image-\d/);
  const versions = await Promise.all([kernelPackage, ...DOM0_PACKAGES].map(candidateVersion));
  const key = keyOf(process.version, kernelPackage, ...versions.map(String), recipe());
  return cached('xen', key, {
    build: (into) => build(into, kernelPackage),
    missing: (folder) => missingPart(imagesIn(folder)),
  });
}

async function build(folder: string, kernelPackage: string): Promise<void> {
  const root = join(folder, 'dom0-root');
  const kernelFolder = join(folder, 'kernel');
  mkdirSync(kernelFolder);
  await unpackPackage(kernelPackage, kernelFolder);
  const { kernel } = imagesIn(folder);
  await unpackKernel(dirname(kernel.image));
  await runTool('depmod', ['-b', kernelFolder, basename(kernel.modules)]);
  const include = `--include=${DOM0_PACKAGES.join(',')}`;
  await runTool('debootstrap', ['--variant=minbase', include, RELEASE, root], { limitMs: DEBOOTSTRAP_LIMIT_MS });
  const compressed = readdirSync(join(root, 'boot')).find((name) => /^xen-.*\.gz$/.test(name)) ?? '';
  writeFileSync(join(folder, 'xen.elf'), gunzipSync(readFileSync(join(root, 'boot', compressed))));
  const guestInitrd = await buildGuest(folder, join(root, 'bin', 'busybox'), kernel);
  await buildDom0({ folder, root, kernel, guestInitrd });
  await runTool('rm', ['-rf', root]);
}

/** The beginning of what xz has packed. */
const XZ_MAGIC = Buffer.from('fd377a585a00', 'hex');
const ELF_MAGIC = Buffer.from('7f454c46', 'hex');

/** A packed kernel is a small program with the kernel's ELF file inside. */
async function unpackKernel(boot: string): Promise<void> {
  const packed = join(boot, readdirSync(boot).find((name) => name.startsWith('vmlinuz-')) ?? 'vmlinuz');
  const unpacked = join(boot, UNPACKED_KERNEL);
  const start = readFileSync(packed).indexOf(XZ_MAGIC);
  // What follows the packed part makes xz complain at the end; the check below tells whether it got there.
  if (start >= 0)
    await runTool('sh', ['-c', `tail -c +${start + 1} '${packed}' | xz -dc > '${unpacked}' 2>/dev/null || true`]);
  if (start < 0 || !readFileSync(unpacked).subarray(0, 4).equals(ELF_MAGIC)) {
    throw new Error(`${packed} has no kernel packed by xz in it`);
  }
}
