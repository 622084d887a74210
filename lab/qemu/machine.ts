/**
 * One guest's machine: what it boots from, its disks and its serial ports, in a form that any way of starting it can use, and as
 * QEMU's command line.
 */
import { join } from 'node:path';
import type { QemuImages } from './images.js';
import { NAME_WORD, PORTS, SWAP_WORD, type DiskName } from './init.js';

export interface QemuGuestOptions {
  /** Unique in the folder; its host name too. */
  readonly name: string;
  readonly memoryMib: number;
  /** Of this run, for its sockets and its console's log. */
  readonly folder: string;
  /** Whether the balloon gives way before the guest's kernel kills somebody: default true. */
  readonly deflatesOnOom?: boolean;
  /** Whether the guest tells its host of pages that it does not use, so that they need not be kept: default false. */
  readonly reportsFreePages?: boolean;
  /** What a virtio-mem device can add to the memory, in whole 2 MiB; nothing is added at boot. Default: no such device. */
  readonly pluggableMib?: number;
  /** Swap on zram in the guest. Default: none. */
  readonly swapMib?: number;
  /** Whether QEMU's guest agent runs, and has a port: default false. */
  readonly hasGuestAgent?: boolean;
  /** Whether there is a port for our own agent, which is not started: default false. */
  readonly hasOwnPort?: boolean;
  /** A reset lets the guest begin anew; otherwise, by default, the machine ends. */
  readonly mayReboot?: boolean;
  /** Default 1. */
  readonly cpus?: number;
  /** The program under test (`makeAppImage`), mounted at /app. Default: none. */
  readonly app?: string;
  /** Files to read (`makeDataDisk`), mounted at /data. Default: none. */
  readonly data?: string;
}

export interface GuestDisk {
  /** The disk's serial number, by which the guest knows it. */
  readonly serial: DiskName;
  /** A raw image; the guest does not write to it. */
  readonly file: string;
}

export interface GuestPort {
  readonly name: string;
  /** A unix socket on which the emulator listens. */
  readonly path: string;
}

/** The parts that are the same whatever starts the machine. */
export interface GuestMachine {
  readonly kernel: string;
  readonly initrd: string;
  /** The kernel's command line. */
  readonly append: string;
  /** virtio-blk. */
  readonly disks: readonly GuestDisk[];
  /** virtio serial ports. */
  readonly ports: readonly GuestPort[];
}

export const monitorPath = ({ folder, name }: QemuGuestOptions): string => join(folder, `${name}.qmp`);
export const portPath = ({ folder, name }: QemuGuestOptions, port: keyof typeof PORTS): string =>
  join(folder, `${name}.${port}`);

/**
 * What is plugged can be unplugged again; and nothing is set aside for devices that cannot reach high addresses, of which this machine
 * has none: it would be 64 MiB as soon as memory can be plugged.
 */
const MEMORY_WORDS = ['memhp_default_state=online_movable', 'swiotlb=noforce'] as const;

export function describeMachine(images: QemuImages, options: QemuGuestOptions): GuestMachine {
  const { name, swapMib, app, data, hasGuestAgent = false, hasOwnPort = false } = options;
  const words = ['console=ttyS0', 'quiet', 'psi=1', ...MEMORY_WORDS, `${NAME_WORD}=${name}`];
  const port = (which: keyof typeof PORTS): GuestPort => ({ name: PORTS[which], path: portPath(options, which) });
  const disk = (serial: DiskName, file: string | undefined): readonly GuestDisk[] =>
    file === undefined ? [] : [{ serial, file }];
  return {
    kernel: images.kernel,
    initrd: images.initrd,
    append: [...words, ...(swapMib === undefined ? [] : [`${SWAP_WORD}=${swapMib}`])].join(' '),
    disks: [...disk('tools', images.tools), ...disk('app', app), ...disk('data', data)],
    ports: [
      port('command'),
      port('load'),
      ...(hasGuestAgent ? [port('guestAgent')] : []),
      ...(hasOwnPort ? [port('ownAgent')] : []),
    ],
  };
}

/**
 * A processor that does not call itself quick at copying bytes: otherwise the guest's kernel clears and copies pages byte by byte, and an
 * emulator carries out each by itself. Seen: 100 MiB touched in 0.3 to 0.9 s, and in 2 to 3.5 s with these features.
 */
const CPU = 'max,-erms,-fsrm';

/** Ids of devices, for whoever asks the monitor. */
export const BALLOON_ID = 'balloon0';
export const PLUGGABLE_ID = 'vmem0';

export function emulatorArguments(images: QemuImages, options: QemuGuestOptions): readonly string[] {
  const { name, memoryMib, cpus = 1, pluggableMib = 0 } = options;
  const { kernel, initrd, append, disks, ports } = describeMachine(images, options);
  const most = pluggableMib === 0 ? '' : `,maxmem=${memoryMib + pluggableMib}M`;
  const onOff = (on: boolean): string => (on ? 'on' : 'off');
  const deflates = onOff(options.deflatesOnOom ?? true);
  const reports = onOff(options.reportsFreePages ?? false);
  return [
    ...['-accel', 'tcg', '-cpu', CPU, '-smp', String(cpus), '-m', `${memoryMib}${most}`, '-name', name],
    ...['-display', 'none', '-serial', 'stdio', '-monitor', 'none', '-nic', 'none', '-nodefaults'],
    ...(options.mayReboot === true ? [] : ['-no-reboot']),
    ...['-kernel', kernel, '-initrd', initrd, '-append', append],
    ...['-device', `virtio-balloon-pci,id=${BALLOON_ID},deflate-on-oom=${deflates},free-page-reporting=${reports}`],
    ...(pluggableMib === 0 ? [] : pluggable(pluggableMib)),
    ...disks.flatMap(diskArguments),
    ...['-device', 'virtio-serial-pci', ...ports.flatMap(portArguments)],
    ...['-qmp', `unix:${monitorPath(options)},server=on,wait=off`],
  ];
}

const pluggable = (mib: number): readonly string[] => [
  ...['-object', `memory-backend-ram,id=pluggable,size=${mib}M`],
  ...['-device', `virtio-mem-pci,id=${PLUGGABLE_ID},memdev=pluggable,requested-size=0`],
];

const diskArguments = ({ serial, file }: GuestDisk): readonly string[] => [
  ...['-drive', `file=${file},if=none,id=${serial},format=raw,readonly=on`],
  ...['-device', `virtio-blk-pci,drive=${serial},serial=${serial}`],
];

const portArguments = ({ name, path }: GuestPort, n: number): readonly string[] => [
  ...['-chardev', `socket,id=port${n},path=${path},server=on,wait=off`],
  ...['-device', `virtserialport,chardev=port${n},name=${name}`],
];
