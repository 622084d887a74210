/** Builds what the Xen lab boots from: once for each set of package versions, and kept in the cache. Needs root, on Debian. */
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { cached, keyOf } from '../cache.js';
import { candidateVersion } from '../debian.js';
import { buildKernel, kernelPackage } from '../kernel.js';
import { runTool } from '../tool.js';
import { buildDom0, DOM0_PACKAGES } from './build-dom0.js';
import { buildGuest } from './build-guest.js';
import { imagesIn, missingPart, recipe } from './images.js';

/** Seen: 75 s. A slow mirror takes its time. */
const DEBOOTSTRAP_LIMIT_MS = 900_000;
/** The release whose packages dom0 is made of; its kernel comes from the machine's own. */
const RELEASE = 'bookworm';

/** Everything that does not depend on the program under test; returns its folder. Takes two minutes the first time. */
export async function buildXenImages(): Promise<string> {
  const kernel = await kernelPackage();
  const versions = await Promise.all(DOM0_PACKAGES.map(candidateVersion));
  const key = keyOf(process.version, kernel.name, kernel.version, ...versions.map(String), recipe());
  return cached('xen', key, {
    build: async (into) => {
      await build(into, await buildKernel(kernel));
    },
    missing: (folder) => missingPart(imagesIn(folder)),
  });
}

async function build(folder: string, kernelFolder: string): Promise<void> {
  const root = join(folder, 'dom0-root');
  symlinkSync(kernelFolder, join(folder, 'kernel'));
  const { kernel } = imagesIn(folder);
  const include = `--include=${DOM0_PACKAGES.join(',')}`;
  await runTool('debootstrap', ['--variant=minbase', include, RELEASE, root], { limitMs: DEBOOTSTRAP_LIMIT_MS });
  const compressed = readdirSync(join(root, 'boot')).find((name) => /^xen-.*\.gz$/.test(name)) ?? '';
  writeFileSync(join(folder, 'xen.elf'), gunzipSync(readFileSync(join(root, 'boot', compressed))));
  const guestInitrd = await buildGuest(folder, join(root, 'bin', 'busybox'), kernel);
  await buildDom0({ folder, root, kernel, guestInitrd });
  await runTool('rm', ['-rf', root]);
}
