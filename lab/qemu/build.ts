/** Builds what the QEMU lab boots from: once for each set of package versions, and kept in the cache. */
import { readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { cached, keyOf } from '../cache.js';
import { candidateVersion } from '../debian.js';
import { installTool } from '../guest-root.js';
import { makeExt4, makeInitrd } from '../initrd.js';
import { buildKernel, kernelIn, kernelPackage } from '../kernel.js';
import { findCommand, runTool } from '../tool.js';
import { imagesIn, LOAD_SOURCE, missingPart, recipe } from './images.js';
import { INIT, MODULES } from './init.js';

/** Packages of this machine from which programs are taken into the guest. */
export const QEMU_LAB_PACKAGES = ['busybox-static', 'qemu-guest-agent', 'gcc', 'libc6-dev'] as const;
/** Seen: 125 MiB used. */
const TOOLS_MIB = 256;
const CFLAGS = ['-static', '-O2', '-s', '-Wall', '-Wextra', '-Wno-format-zero-length', '-Werror'];

/** Everything that does not depend on the program under test; returns its folder. Takes some seconds beside the kernel. */
export async function buildQemuImages(): Promise<string> {
  const kernel = await kernelPackage();
  const versions = await Promise.all(QEMU_LAB_PACKAGES.map(candidateVersion));
  const key = keyOf(process.version, kernel.name, kernel.version, ...versions.map(String), recipe());
  return cached('qemu', key, {
    build: async (folder) => {
      await build(folder, await buildKernel(kernel));
    },
    missing: (folder) => missingPart(imagesIn(folder)),
  });
}

async function build(folder: string, kernelFolder: string): Promise<void> {
  symlinkSync(kernelFolder, join(folder, 'kernel'));
  const { initrd, tools } = imagesIn(folder);
  const load = join(folder, 'load');
  await compileLoad(load);
  await makeInitrd({
    kernel: kernelIn(kernelFolder),
    modules: MODULES,
    busybox: commandPath('busybox'),
    programs: [load],
    init: INIT,
    folder: join(folder, 'initrd'),
    output: initrd,
  });
  await makeTools(join(folder, 'tools'), tools);
}

async function compileLoad(output: string): Promise<void> {
  const sources = readdirSync(LOAD_SOURCE).filter((name) => name.endsWith('.c'));
  await runTool('gcc', [...CFLAGS, '-o', output, ...sources], { cwd: LOAD_SOURCE });
}

async function makeTools(root: string, image: string): Promise<void> {
  await installTool(root, process.execPath, 'usr/bin');
  await installTool(root, commandPath('qemu-ga'), 'usr/sbin');
  // Where scripts look for it, and as `npm install -g` would.
  symlinkSync('/bin/busybox', join(root, 'usr', 'bin', 'env'));
  symlinkSync('/app/bin/selfballoon', join(root, 'usr', 'bin', 'selfballoon'));
  await makeExt4(root, image, TOOLS_MIB);
  rmSync(root, { recursive: true });
}

function commandPath(name: string): string {
  const path = findCommand(name);
  if (path === null) throw new Error(`${name} is not installed on this machine`);
  return path;
}
