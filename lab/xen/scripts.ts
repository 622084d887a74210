/** The shell scripts that run inside the Xen lab: first processes of dom0 and guests, and the block devices' hotplug. */

const mountBasics = `
b=/bin/busybox
$b mount -t proc proc /proc; $b mount -t sysfs sys /sys; $b mount -t devtmpfs dev /dev
for m in $($b cat /mod/order); do $b insmod /mod/$m || echo "lab: no module $m"; done`;

const switchTo = (device: string, init: string): string => `
i=0; while [ ! -b ${device} ] && [ $i -lt 300 ]; do $b sleep 0.1; i=$((i+1)); done
$b mount -t ext4 -o ro ${device} /new || exec $b sh
for d in dev sys proc; do $b mount --move /$d /new/$d; done
exec $b switch_root /new ${init}`;

/** Disks of dom0, in the order in which the machine has them: its root, the program under test, the guests' root. */
export const DOM0_DISKS = { root: '/dev/nvme0n1', app: '/dev/nvme1n1', guestRoot: '/dev/nvme2n1' } as const;

export const DOM0_INITRD_INIT = `#!/bin/busybox sh${mountBasics}${switchTo(DOM0_DISKS.root, '/sbin/lab-init')}
`;

export const GUEST_INITRD_INIT = `#!/bin/busybox sh${mountBasics}${switchTo('/dev/xvda', '/sbin/guest-init')}
`;

/** Starts Xen's own services, and then the agent, which takes commands over a virtio port. */
export const DOM0_INIT = `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/xen-4.17/bin HOME=/tmp
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
for d in /run /tmp /var/log /var/lib/xen /var/lib/xenstored; do mount -t tmpfs tmpfs $d; done
for m in $(cat /mod/order); do insmod /mod/$m || echo "lab: no module $m"; done
mount -t xenfs xenfs /proc/xen
mkdir -p /run/xenstored /run/xen /run/lock /var/log/xen/console
xenstored --pid-file /run/xenstored.pid || echo "lab: xenstored failed"
xen-init-dom0
xenconsoled --log=guest --log-dir=/var/log/xen/console --pid-file=/run/xenconsoled.pid
mount -t ext4 -o ro ${DOM0_DISKS.app} /app
echo "lab: dom0 is up"
while :; do node /app/lab/agent/main.js; echo "lab: the agent ended with $?"; sleep 1; done
`;

/** libxl's own block script waits for tools that are not here; the back end only needs to be told the device's numbers. */
export const BLOCK_SCRIPT = `#!/bin/sh
[ "$1" = add ] || exit 0
device=$(xenstore-read "$XENBUS_PATH/params")
xenstore-write "$XENBUS_PATH/physical-device" "$(stat -c '%t:%T' "\${device#*:}")" \\
  "$XENBUS_PATH/physical-device-path" "\${device#*:}" "$XENBUS_PATH/hotplug-status" connected
`;

/** An output of so many lines is packed: the console carries some kilobytes a second. */
const LONG_LINES = 30;

/**
 * Takes commands from the console, one a line: a number, a limit in seconds and the command, escaped for `printf`. Answers with
 * the output in base64, packed when it has many lines, between two marked lines, so that whatever else is printed there does no
 * harm. The output goes through a file: what a command leaves running in the background must not hold up the answer. Starting a
 * program takes an emulated guest some 50 ms, and tests run hundreds of commands; so what the shell can do itself, it does.
 */
export const GUEST_INIT = `#!/bin/sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/tmp
mkdir -p /dev/pts; mount -t devpts devpts /dev/pts; mount -t tmpfs run /run; mount -t tmpfs tmp /tmp
for m in $(cat /mod/order); do insmod /mod/$m $(cat /mod/$m.options 2>/dev/null); done
mount -t ext4 -o ro /dev/xvdb /app
mkdir -p /sys/fs/cgroup; mount -t cgroup2 cgroup /sys/fs/cgroup
for w in $(cat /proc/cmdline); do case $w in lab.name=*) hostname \${w#lab.name=};; esac; done
stty raw -echo < /dev/hvc0
echo 1 > /proc/sys/kernel/printk
echo "@@UP $(hostname)"
while read -r id limit command; do
  [ -z "$command" ] && continue
  printf '%b' "$command" > /tmp/.command
  timeout -s KILL $limit sh /tmp/.command > /tmp/.output 2>&1
  code=$? lines=0
  while [ $lines -lt ${LONG_LINES} ] && read -r line; do lines=$((lines+1)); done < /tmp/.output
  if [ $lines -lt ${LONG_LINES} ]; then echo "@@B $id"; base64 /tmp/.output
  else echo "@@P $id"; gzip -1 -c /tmp/.output | base64; fi
  echo "@@E $id $code"
done
`;
