/** What the guests of the QEMU lab boot from: the Xen lab's kernel, and an initial RAM disk of busybox and virtio's modules. */
import { join } from 'node:path';
import { makeInitrd, type Kernel } from '../initrd.js';
import { findCommand } from '../tool.js';

const MODULES = ['virtio_pci', 'virtio_console', 'virtio_balloon', 'zram'];
/** Of the serial port on which a guest takes commands. */
export const PORT_NAME = 'org.selfballoon.lab';

/**
 * Takes commands from the port, one a line: a number and the command, escaped for `printf`. Answers with the output in base64 between
 * two marked lines.
 */
const INIT = `#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc; $b mount -t sysfs sys /sys; $b mount -t devtmpfs dev /dev
for m in $($b cat /mod/order); do $b insmod /mod/$m || echo "lab: no module $m"; done
export PATH=/bin
$b --install -s /bin
mkdir -p /tmp /run
for p in /sys/class/virtio-ports/*; do [ "$(cat $p/name)" = ${PORT_NAME} ] && port=/dev/\${p##*/}; done
exec 3<>$port
echo "@@UP" >&3
while read -r id command <&3; do
  printf '%b' "$command" > /tmp/.command
  sh /tmp/.command > /tmp/.output 2>&1
  code=$?
  { echo "@@B $id"; base64 /tmp/.output; echo "@@E $id $code"; } >&3
done
`;

export interface QemuImage {
  readonly kernel: string;
  readonly initrd: string;
}

/** Puts the disk together in `folder`; takes a second. */
export async function makeQemuImage(kernel: Kernel, folder: string): Promise<QemuImage> {
  const initrd = join(folder, 'initrd.gz');
  const busybox = findCommand('busybox') ?? '/bin/busybox';
  await makeInitrd({ kernel, modules: MODULES, busybox, init: INIT, folder: join(folder, 'initrd'), output: initrd });
  return { kernel: kernel.image, initrd };
}
