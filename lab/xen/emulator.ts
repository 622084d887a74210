/** The emulated machine's command line. */
import { join } from 'node:path';
import type { XenImages } from './images.js';
import { PORT_NAME } from './protocol.js';

export interface MachineOptions {
  readonly images: XenImages;
  /** The disk with the program under test. */
  readonly appImage: string;
  /** A folder of this run, for its socket and its console's log. */
  readonly folder: string;
  readonly memoryMib: number;
  readonly dom0Mib: number;
}

/**
 * A domain that has a processor keeps it this long, if it has something to do. Each change of domains empties the emulator's tables; with
 * Xen's own 1 ms three guests took 82 s to start and begin to report, with 20 and with 50 ms 68 and 70 s.
 */
const TURN_US = 20_000;

/**
 * What Xen does against processors that leak, and the cleaning of memory at its start, cost an emulated machine time for nothing: two
 * guests that each start the program three times took 118 and 120 s of processor time, without these 107 and 115 s.
 */
const NOTHING_TO_HIDE = 'spec-ctrl=no bootscrub=no';

export const EMULATOR = 'qemu-system-x86_64';

/** What a guest may come to have. */
export interface GuestRoom {
  readonly memoryMib: number;
  /** The most that it could have; default: what it starts with. */
  readonly maximumMib?: number;
}

/** What Xen keeps for itself and for each domain, and a small guest of a test's own. */
const SPARE_MIB = 352;

/** Memory of a machine on which dom0 and all of these guests have their most at the same time. The emulator takes of it what they touch. */
export function machineMib(dom0Mib: number, guests: readonly GuestRoom[]): number {
  const most = guests.map(({ memoryMib, maximumMib = memoryMib }) => Math.max(memoryMib, maximumMib));
  return most.reduce((sum, one) => sum + one, dom0Mib + SPARE_MIB);
}

/** Where the machine's virtio port is heard. */
export const socketPath = ({ folder }: MachineOptions): string => join(folder, 'lab.sock');

export function emulatorArguments(options: MachineOptions): readonly string[] {
  const { images, appImage, memoryMib, dom0Mib } = options;
  const xen = [
    `console=com1 com1=115200 dom0_mem=${dom0Mib}M,max:${dom0Mib}M loglvl=warning noreboot`,
    `sched_ratelimit_us=${TURN_US}`,
    NOTHING_TO_HIDE,
  ].join(' ');
  return [
    // Without smap and smep dom0 crashes at its first instruction. Without xsave there is no AVX: with it, programs in dom0 lost the upper halves of their vector registers when they were
    // interrupted (QEMU 7.2), which showed as garbled strings and crashes of Node.js. Without erms and fsrm kernels clear and copy pages by
    // words; with them byte by byte, and an emulator carries out each byte by itself.
    ...[
      '-accel',
      'tcg,thread=multi',
      '-cpu',
      'max,-smap,-smep,-xsave,-erms,-fsrm',
      '-smp',
      '2',
      '-m',
      String(memoryMib),
    ],
    ...['-display', 'none', '-serial', 'stdio', '-monitor', 'none', '-no-reboot', '-nic', 'none'],
    ...['-kernel', images.xen, '-append', xen],
    ...['-initrd', `${images.kernel.image} console=hvc0 quiet,${images.dom0Initrd}`],
    ...[images.dom0Root, appImage, images.guestRoot].flatMap(disk),
    ...['-device', 'virtio-serial-pci', '-chardev', `socket,id=lab,path=${socketPath(options)},server=on,wait=off`],
    ...['-device', `virtserialport,chardev=lab,name=${PORT_NAME}`],
  ];
}

/** What is written to a disk is forgotten with the run. */
const disk = (file: string, n: number): readonly string[] => [
  ...['-drive', `file=${file},if=none,id=d${n},format=raw,snapshot=on`],
  ...['-device', `nvme,drive=d${n},serial=lab${n}`],
];
