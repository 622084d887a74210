/** Builds what the Xen lab boots from: once for each set of package versions, and kept in the cache. Needs root, on Debian. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { cached, keyOf } from '../cache.js';
import { candidateVersion, dependencyOf, unpackPackage } from '../debian.js';
import { runTool } from '../tool.js';
import { buildDom0, DOM0_PACKAGES } from './build-dom0.js';
import { buildGuest } from './build-guest.js';
import { imagesIn, recipe } from './images.js';

/** Seen: 75 s. A slow mirror takes its time. */
const DEBOOTSTRAP_LIMIT_MS = 900_000;
/** The release whose packages dom0 is made of; its kernel comes from the machine's own. */
const RELEASE = 'bookworm';

/** Everything that does not depend on the program under test; returns its folder. Takes two minutes the first time. */
export async function buildXenImages(): Promise<string> {
  const kernelPackage = await dependencyOf('linux-image-amd64', /^linux-image-\d/);
  const versions = await Promise.all([kernelPackage, ...DOM0_PACKAGES].map(candidateVersion));
  const key = keyOf(process.version, kernelPackage, ...versions.map(String), recipe());
  return cached('xen', key, (into) => build(into, kernelPackage));
}

async function build(folder: string, kernelPackage: string): Promise<void> {
  const root = join(folder, 'dom0-root');
  const kernelFolder = join(folder, 'kernel');
  mkdirSync(kernelFolder);
  await unpackPackage(kernelPackage, kernelFolder);
  const { kernel } = imagesIn(folder);
  await runTool('depmod', ['-b', kernelFolder, basename(kernel.modules)]);
  const include = `--include=${DOM0_PACKAGES.join(',')}`;
  await runTool('debootstrap', ['--variant=minbase', include, RELEASE, root], { limitMs: DEBOOTSTRAP_LIMIT_MS });
  const compressed = readdirSync(join(root, 'boot')).find((name) => /^xen-.*\.gz$/.test(name)) ?? '';
  writeFileSync(join(folder, 'xen.elf'), gunzipSync(readFileSync(join(root, 'boot', compressed))));
  const guestInitrd = await buildGuest(folder, join(root, 'bin', 'busybox'), kernel);
  await buildDom0({ folder, root, kernel, guestInitrd });
  await runTool('rm', ['-rf', root]);
}
