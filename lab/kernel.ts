/** Debian's kernel, unpacked and not installed: what every machine of the lab boots from. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { cached, keyOf } from './cache.js';
import { candidateVersion, dependencyOf, unpackPackage } from './debian.js';
import type { Kernel } from './initrd.js';
import { runTool } from './tool.js';

/** The kernel as an ELF file: unpacking the packed one takes an emulated machine ten seconds, for each guest again. */
const UNPACKED_KERNEL = 'vmlinux';
/** Raised when a folder is laid out in another way. */
const LAYOUT = '1';

export interface KernelPackage {
  readonly name: string;
  readonly version: string;
}

/** The package that a machine of this Debian would have now. */
export async function kernelPackage(): Promise<KernelPackage> {
  const name = await dependencyOf('linux-image-amd64', /^linux-image-\d/);
  return { name, version: String(await candidateVersion(name)) };
}

/** The folder of the unpacked kernel in the cache; takes half a minute the first time. */
export function buildKernel({ name, version }: KernelPackage): Promise<string> {
  return cached('kernel', keyOf(name, version, LAYOUT), {
    build: async (folder) => {
      await unpackPackage(name, folder);
      await unpackKernel(join(folder, 'boot'));
      await runTool('depmod', ['-b', folder, basename(kernelIn(folder).modules)]);
    },
    missing: (folder) => {
      const { image, modules } = kernelIn(folder);
      return [image, join(modules, 'modules.dep')].find((part) => !existsSync(part)) ?? null;
    },
  });
}

/** The parts in a folder, whether or not they have been made yet; their names have the kernel's version in them. */
export function kernelIn(folder: string): Kernel {
  const [boot, modules] = [join(folder, 'boot'), join(folder, 'lib', 'modules')];
  return { image: join(boot, UNPACKED_KERNEL), modules: join(modules, namesIn(modules)[0] ?? 'missing') };
}

const namesIn = (folder: string): readonly string[] => (existsSync(folder) ? readdirSync(folder) : []);

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
