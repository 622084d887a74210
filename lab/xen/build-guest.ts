/** The guests of the Xen lab: busybox, Node.js with its libraries, zram, and nothing else that takes memory. */
import { cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { installTool } from '../guest-root.js';
import { copyModules, makeExt4, makeInitrd, writeScript, type Kernel } from '../initrd.js';
import { findCommand, runTool } from '../tool.js';
import { GUEST_INIT, GUEST_INITRD_INIT } from './scripts.js';

const IMAGE_MIB = 256;
const MODULES = ['zram'];
const INITRD_MODULES = ['crc32c_generic', 'xen-blkfront', 'ext4'];
const FOLDERS = ['proc', 'sys', 'dev', 'run', 'tmp', 'app', 'etc', 'usr/bin', 'lib64'];
/** Devices named /dev/zram0 and on, of no size yet: each guest's stripes are its test's business. */
export const ZRAM_DEVICES = 8;

/** Makes the guests' image in `folder`, and their initial RAM disk, whose path is returned. */
export async function buildGuest(folder: string, busybox: string, kernel: Kernel): Promise<string> {
  const root = join(folder, 'guest-root');
  for (const name of FOLDERS) mkdirSync(join(root, name), { recursive: true });
  await installBusybox(root, busybox);
  await installTool(root, process.execPath, 'usr/bin');
  await installTool(root, findCommand('swapon') ?? '/sbin/swapon', 'sbin');
  // As `npm install -g` would.
  symlinkSync('/app/bin/selfballoon', join(root, 'usr', 'bin', 'selfballoon'));
  copyModules(kernel, MODULES, join(root, 'mod'));
  writeFileSync(join(root, 'mod', 'zram.ko.options'), `num_devices=${ZRAM_DEVICES}\n`);
  writeScript(join(root, 'sbin', 'guest-init'), GUEST_INIT);
  await makeExt4(root, join(folder, 'guest.img'), IMAGE_MIB);
  rmSync(root, { recursive: true });
  const output = join(folder, 'guest-initrd.gz');
  await makeInitrd({
    kernel,
    modules: INITRD_MODULES,
    busybox,
    init: GUEST_INITRD_INIT,
    folder: join(folder, 'guest-initrd'),
    output,
  });
  return output;
}

async function installBusybox(root: string, busybox: string): Promise<void> {
  for (const name of ['bin', 'sbin']) mkdirSync(join(root, name), { recursive: true });
  cpSync(busybox, join(root, 'bin', 'busybox'));
  const applets = (await runTool(busybox, ['--list'])).trim().split('\n');
  // util-linux's swapon knows priorities, busybox's does not.
  for (const applet of applets.filter((name) => name !== 'busybox' && name !== 'swapon'))
    symlinkSync('busybox', join(root, 'bin', applet));
  // Where unit files and scripts look for it.
  symlinkSync('/bin/busybox', join(root, 'usr', 'bin', 'env'));
}
