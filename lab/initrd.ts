/** Small initial RAM disks: busybox, kernel modules in an order in which they load, and an init script. */
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { runTool } from './tool.js';

/** An unpacked kernel package. */
export interface Kernel {
  readonly image: string;
  /** The folder with `modules.dep`. */
  readonly modules: string;
}

/** Copies modules and what they need into `folder`, and writes `order`: one file name a line, needed ones first. */
export function copyModules(kernel: Kernel, names: readonly string[], folder: string): void {
  mkdirSync(folder, { recursive: true });
  const lines = readFileSync(join(kernel.modules, 'modules.dep'), 'utf8').split('\n');
  const order = new Set<string>();
  for (const name of names) {
    const line = lines.find((candidate) => candidate.split(':')[0]?.endsWith(`/${name}.ko`) === true);
    if (line === undefined) throw new Error(`this kernel has no module ${name}`);
    const [file = '', needed = ''] = line.split(':');
    for (const path of [...needed.trim().split(' ').reverse(), file]) if (path !== '') order.add(path);
  }
  for (const path of order) copyFileSync(join(kernel.modules, path), join(folder, basename(path)));
  writeFileSync(join(folder, 'order'), `${[...order].map((path) => basename(path)).join('\n')}\n`);
}

/** Writes files that scripts are made of; those under `bin`, `sbin` and the like may be run. */
export function writeScript(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  chmodSync(path, 0o755);
}

export interface InitrdOptions {
  readonly kernel: Kernel;
  readonly modules: readonly string[];
  readonly busybox: string;
  /** Further programs for /bin, which need no libraries. Default: none. */
  readonly programs?: readonly string[];
  readonly init: string;
  /** Where it is put together; must not exist yet. */
  readonly folder: string;
  readonly output: string;
}

export async function makeInitrd(options: InitrdOptions): Promise<void> {
  const { kernel, modules, busybox, programs = [], init, folder, output } = options;
  if (existsSync(folder)) throw new Error(`${folder} is there already`);
  for (const name of ['bin', 'new', 'proc', 'sys', 'dev']) mkdirSync(join(folder, name), { recursive: true });
  copyFileSync(busybox, join(folder, 'bin', 'busybox'));
  for (const program of programs) copyFileSync(program, join(folder, 'bin', basename(program)));
  copyModules(kernel, modules, join(folder, 'mod'));
  writeScript(join(folder, 'init'), init);
  await runTool('sh', ['-c', `find . | cpio -o -H newc --quiet | gzip -1 > '${output}'`], { cwd: folder });
}

/** Makes an ext4 image of a folder. */
export async function makeExt4(folder: string, image: string, sizeMib: number): Promise<void> {
  await runTool('rm', ['-f', image]);
  await runTool('mke2fs', ['-q', '-t', 'ext4', '-d', folder, image, `${sizeMib}M`]);
}
