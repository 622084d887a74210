/** Builds what the Xen lab boots from: once for each set of package versions, and kept in the cache. */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { cached, keyOf } from '../cache.js';
import { candidateVersion, dependencyOf, unpackPackage } from '../debian.js';
import { copyModules, makeExt4, makeInitrd, writeScript, type Kernel } from '../initrd.js';
import { findCommand, runTool } from '../tool.js';
import { BLOCK_SCRIPT, DOM0_INIT, DOM0_INITRD_INIT, GUEST_INIT, GUEST_INITRD_INIT } from './scripts.js';

const XEN_PACKAGES = [
  'xen-utils-4.17',
  'xen-hypervisor-4.17-amd64',
  'xenstore-utils',
  'libxenmisc4.17',
  'kmod',
  'iproute2',
  'procps',
  'busybox-static',
  'libstdc++6',
];
const DOM0_MIB = 900;
const GUEST_MIB = 320;
const DEBOOTSTRAP_LIMIT_MS = 900_000;

export interface XenImages {
  readonly xen: string;
  readonly kernel: Kernel;
  readonly dom0Initrd: string;
  readonly dom0Root: string;
  readonly guestInitrd: string;
  /** A folder, to which the program under test is added before it becomes an image. */
  readonly guestRoot: string;
}

/** Everything that does not depend on the program under test. Takes two minutes the first time. */
export async function buildXenImages(): Promise<XenImages> {
  const kernelPackage = await dependencyOf('linux-image-amd64', /^linux-image-\d/);
  const versions = await Promise.all([kernelPackage, ...XEN_PACKAGES].map(candidateVersion));
  const scripts = [BLOCK_SCRIPT, DOM0_INIT, DOM0_INITRD_INIT, GUEST_INIT, GUEST_INITRD_INIT];
  const key = keyOf(process.version, kernelPackage, ...versions.map(String), ...scripts, LAYOUT);
  const folder = await cached('xen', key, (into) => build(into, kernelPackage));
  return imagesIn(folder);
}

/** Raised when this file builds something else from the same packages. */
const LAYOUT = '1';

function imagesIn(folder: string): XenImages {
  const modules = join(folder, 'kernel', 'lib', 'modules');
  const boot = join(folder, 'kernel', 'boot');
  const image = readdirSync(boot).find((name) => name.startsWith('vmlinuz-')) ?? '';
  const [version = ''] = existsSync(modules) ? readdirSync(modules) : [];
  return {
    xen: join(folder, 'xen.elf'),
    kernel: { image: join(boot, image), modules: join(modules, version) },
    dom0Initrd: join(folder, 'dom0-initrd.gz'),
    dom0Root: join(folder, 'dom0.img'),
    guestInitrd: join(folder, 'guest-initrd.gz'),
    guestRoot: join(folder, 'guest-root'),
  };
}

async function build(folder: string, kernelPackage: string): Promise<void> {
  const root = join(folder, 'dom0-root');
  const kernelFolder = join(folder, 'kernel');
  mkdirSync(kernelFolder);
  await unpackPackage(kernelPackage, kernelFolder);
  const { kernel } = imagesIn(folder);
  await runTool('depmod', ['-b', kernelFolder, basename(kernel.modules)]);
  const include = `--include=${XEN_PACKAGES.join(',')}`;
  await runTool('debootstrap', ['--variant=minbase', include, 'bookworm', root], { limitMs: DEBOOTSTRAP_LIMIT_MS });
  const compressed = readdirSync(join(root, 'boot')).find((name) => /^xen-.*\.gz$/.test(name)) ?? '';
  writeFileSync(join(folder, 'xen.elf'), gunzipSync(readFileSync(join(root, 'boot', compressed))));
  await buildDom0(folder, root, kernel);
  await buildGuest(folder, join(root, 'bin', 'busybox'), kernel);
  await runTool('rm', ['-rf', root]);
}

async function buildDom0(folder: string, root: string, kernel: Kernel): Promise<void> {
  copyModules(
    kernel,
    ['xen-evtchn', 'xen-gntdev', 'xen-gntalloc', 'xen-privcmd', 'xenfs', 'xen-blkback'],
    join(root, 'mod'),
  );
  cpSync(realpathSync(process.execPath), join(root, 'usr', 'bin', 'node'));
  for (const name of ['payload', join('var', 'lib', 'xenstored')]) mkdirSync(join(root, name), { recursive: true });
  writeScript(join(root, 'sbin', 'lab-init'), DOM0_INIT);
  writeScript(join(root, 'etc', 'xen', 'scripts', 'block-lab'), BLOCK_SCRIPT);
  await makeExt4(root, join(folder, 'dom0.img'), DOM0_MIB);
  await makeInitrd({
    kernel,
    modules: ['crc32c_generic', 'nvme', 'ext4', 'virtio_pci', 'virtio_console'],
    busybox: join(root, 'bin', 'busybox'),
    init: DOM0_INITRD_INIT,
    folder: join(folder, 'dom0-initrd'),
    output: join(folder, 'dom0-initrd.gz'),
  });
}

const GUEST_MODULES = ['zram'];
const ZRAM_DEVICES = 4;

async function buildGuest(folder: string, busybox: string, kernel: Kernel): Promise<void> {
  const root = join(folder, 'guest-root');
  for (const name of ['proc', 'sys', 'dev', 'run', 'tmp', 'app', 'etc', 'usr/bin', 'lib64'])
    mkdirSync(join(root, name), { recursive: true });
  await installBusybox(root, busybox);
  for (const tool of [realpathSync(process.execPath), findCommand('swapon') ?? '/sbin/swapon'])
    await installTool(root, tool);
  copyModules(kernel, GUEST_MODULES, join(root, 'mod'));
  writeFileSync(join(root, 'mod', 'zram.ko.options'), `num_devices=${ZRAM_DEVICES}\n`);
  writeScript(join(root, 'sbin', 'guest-init'), GUEST_INIT);
  await makeInitrd({
    kernel,
    modules: ['crc32c_generic', 'xen-blkfront', 'ext4'],
    busybox,
    init: GUEST_INITRD_INIT,
    folder: join(folder, 'guest-initrd'),
    output: join(folder, 'guest-initrd.gz'),
  });
}

async function installBusybox(root: string, busybox: string): Promise<void> {
  for (const name of ['bin', 'sbin']) mkdirSync(join(root, name), { recursive: true });
  cpSync(busybox, join(root, 'bin', 'busybox'));
  const applets = (await runTool(busybox, ['--list'])).trim().split('\n');
  // util-linux's swapon knows priorities, busybox's does not.
  for (const applet of applets.filter((name) => name !== 'busybox' && name !== 'swapon'))
    symlinkSync('busybox', join(root, 'bin', applet));
}

/** A program of this machine with the libraries that it needs, at the places where it looks for them. */
async function installTool(root: string, tool: string): Promise<void> {
  const name = basename(tool);
  const target = join(root, name === 'node' ? 'usr/bin' : 'sbin', name);
  cpSync(tool, target);
  chmodSync(target, 0o755);
  for (const [, library = ''] of (await runTool('ldd', [tool])).matchAll(/(\/\S+\.so\S*)/g)) {
    mkdirSync(join(root, dirname(library)), { recursive: true });
    cpSync(realpathSync(library), join(root, library));
  }
}

/** The image of a guest with the program under test in `/app`: made for each run, for the program is what changes. */
export async function makeGuestImage(images: XenImages, repository: string, into: string): Promise<string> {
  const app = join(into, 'guest-root');
  await runTool('cp', ['-a', images.guestRoot, app]);
  await runTool('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', into], { cwd: repository });
  const tarball = readdirSync(into).find((name) => name.endsWith('.tgz')) ?? '';
  writeFileSync(join(app, 'app', 'package.json'), '{"private":true,"type":"module"}');
  const offline = [
    'install',
    '--ignore-scripts',
    '--omit=dev',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    '--silent',
  ];
  await runTool('npm', [...offline, join(into, tarball)], { cwd: join(app, 'app') });
  const image = join(into, 'guest.img');
  await makeExt4(app, image, GUEST_MIB);
  await runTool('rm', ['-rf', app]);
  return image;
}
