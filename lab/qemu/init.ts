/** The first process of the QEMU lab's guests: a shell script, and the names that it shares with the host. */

/** Names of the serial ports, as the guest sees them. */
export const PORTS = {
  /** Takes commands; see `command-port.ts`. */
  command: 'org.selfballoon.lab',
  /** Takes loads; see `lab/guest/load/main.c`. */
  load: 'org.selfballoon.load',
  /** QEMU's guest agent. */
  guestAgent: 'org.qemu.guest_agent.0',
  /** Our own agent. */
  ownAgent: 'org.selfballoon.0',
} as const;

/** What a disk is for: its serial number, and the folder under the root where the guest finds its files. */
export type DiskName = 'tools' | 'app' | 'data';

/** A word of the kernel's command line: MiB of swap on zram. */
export const SWAP_WORD = 'lab.swap';
/** A word of the kernel's command line: the host name. */
export const NAME_WORD = 'lab.name';

/** Modules in the initial RAM disk, all loaded at boot. They stay in /mod, so that one can be taken out and loaded again. */
export const MODULES = [
  'crc32c_generic',
  'virtio_pci',
  'virtio_console',
  'virtio_balloon',
  'virtio_mem',
  'virtio_blk',
  'ext4',
  'zram',
] as const;

/** Where the guest agent's process number is kept. */
export const GUEST_AGENT_PID = '/run/guest-agent.pid';
/** Starts QEMU's guest agent in the background. */
export const START_GUEST_AGENT = `qemu-ga -m virtio-serial -p /dev/virtio-ports/${PORTS.guestAgent} -t /run > /run/guest-agent.log 2>&1 &
  echo $! > ${GUEST_AGENT_PID}`;

/**
 * Takes commands from a port, one a line: a number and the command, escaped for `printf`. Answers with the output in base64 between
 * two marked lines. Node.js and the guest agent lie on a disk and not in memory, since a small guest would miss what they take.
 */
export const INIT = `#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc; $b mount -t sysfs sys /sys; $b mount -t devtmpfs dev /dev
for m in $($b cat /mod/order); do $b insmod /mod/$m || echo "lab: no module $m"; done
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/tmp
$b --install -s /bin
mkdir -p /tmp /run/load /tools /app /data /etc /dev/pts /dev/virtio-ports
mount -t devpts devpts /dev/pts
mount -t tmpfs -o size=64g load /run/load
for p in /sys/class/virtio-ports/*; do
  read -r name < $p/name; [ -n "$name" ] && ln -s ../\${p##*/} /dev/virtio-ports/$name
done
for d in /sys/block/vd*; do
  [ -e $d/serial ] || continue
  read -r name < $d/serial; mount -t ext4 -o ro /dev/\${d##*/} /$name
done
for f in usr lib lib64; do [ -d /tools/$f ] && ln -s tools/$f /$f; done
for w in $(cat /proc/cmdline); do case $w in
  ${NAME_WORD}=*) hostname \${w#*=};;
  ${SWAP_WORD}=*) echo \${w#*=}M > /sys/block/zram0/disksize; mkswap /dev/zram0 > /dev/null; swapon /dev/zram0;;
esac; done
echo 1 > /proc/sys/kernel/printk
cd /dev/virtio-ports
[ -e ${PORTS.load} ] && load /dev/virtio-ports/${PORTS.load} &
if [ -e ${PORTS.guestAgent} ]; then
  ${START_GUEST_AGENT}
fi
cd /
exec 3<>/dev/virtio-ports/${PORTS.command}
echo "@@UP" >&3
while read -r id command <&3; do
  printf '%b' "$command" > /tmp/.command
  sh /tmp/.command > /tmp/.output 2>&1
  code=$?
  { echo "@@B $id"; base64 /tmp/.output; echo "@@E $id $code"; } >&3
done
`;
