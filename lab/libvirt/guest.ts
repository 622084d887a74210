/**
 * One guest of the libvirt lab: the machine of the QEMU lab as a domain of a private libvirtd.
 *
 *     const options = { name: 'web', memoryMib: 512, folder };
 *     const guest = await LibvirtGuest.boot(libvirtd, describeMachine(images, options), options);
 *     await guest.run('cat /proc/meminfo');
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { memoryOf, type EmulatorMemory } from '../qemu/emulator.js';
import { LabGuest, openPorts, type GuestPorts } from '../qemu/lab-guest.js';
import type { GuestDisk, GuestMachine, GuestPort, QemuGuestOptions } from '../qemu/machine.js';
import type { Watched } from '../qemu/waiting.js';
import { findCommand } from '../tool.js';
import type { PrivateLibvirtd } from './daemon.js';

const LOOK_PAUSE_MS = 500;
const LAST_LINES = 15;

export class LibvirtGuest extends LabGuest {
  readonly pid: number;

  private constructor(options: QemuGuestOptions, pid: number, ports: GuestPorts) {
    super(options, ports);
    this.pid = pid;
  }

  /** Defines the domain and starts it. Resolves when the guest takes commands. It ends with its libvirtd. */
  static async boot(
    libvirtd: PrivateLibvirtd,
    machine: GuestMachine,
    options: QemuGuestOptions,
  ): Promise<LibvirtGuest> {
    const { name, folder } = options;
    const [definition, log] = [join(folder, `${name}.xml`), join(folder, `${name}.log`)];
    writeFileSync(definition, domainXml(machine, options, log));
    await libvirtd.virsh('define', definition);
    await libvirtd.virsh('start', name);
    const pid = libvirtd.pidOf(name);
    return new LibvirtGuest(options, pid, await openPorts(options, watched(pid, log)));
  }

  get memory(): EmulatorMemory {
    return memoryOf(this.pid);
  }

  /** Lets go of the ports; the domain runs on. */
  close(): void {
    this.closePorts();
  }
}

const watched = (pid: number, log: string): Watched => ({
  ended: untilGone(pid),
  lastWords: () => (existsSync(log) ? readFileSync(log, 'utf8').split('\n').slice(-LAST_LINES).join('\n') : ''),
});

/** It is no child of ours, so it is looked for. */
async function untilGone(pid: number): Promise<void> {
  while (existsSync(`/proc/${pid}`)) await sleep(LOOK_PAUSE_MS, undefined, { ref: false });
}

/** Everything that is named must be readable by whoever libvirtd runs as. */
function domainXml(machine: GuestMachine, { name, memoryMib, ...options }: QemuGuestOptions, log: string): string {
  const { deflatesOnOom = true, reportsFreePages = false, cpus = 1, pluggableMib = 0, mayReboot = false } = options;
  const canGrow = pluggableMib > 0;
  const onOff = (on: boolean): string => (on ? 'on' : 'off');
  return `<domain type='qemu'>
  <name>${name}</name>
  ${canGrow ? `<maxMemory slots='1' unit='MiB'>${memoryMib + pluggableMib}</maxMemory>` : ''}
  <memory unit='MiB'>${memoryMib}</memory>
  <vcpu>${cpus}</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>${machine.kernel}</kernel>
    <initrd>${machine.initrd}</initrd>
    <cmdline>${machine.append}</cmdline>
  </os>
  <cpu mode='maximum'>${SLOW_COPIES}${canGrow ? numaXml(memoryMib, cpus) : ''}</cpu>
  <on_reboot>${mayReboot ? 'restart' : 'destroy'}</on_reboot>
  <devices>
    <emulator>${findCommand('qemu-system-x86_64') ?? ''}</emulator>
    <controller type='usb' model='none'/>
    <serial type='file'><source path='${log}'/></serial>
    ${canGrow ? pluggableXml(pluggableMib) : ''}
    ${machine.disks.map(diskXml).join('\n    ')}
    ${machine.ports.map(portXml).join('\n    ')}
    <memballoon model='virtio' autodeflate='${onOff(deflatesOnOom)}' freePageReporting='${onOff(reportsFreePages)}'/>
  </devices>
</domain>
`;
}

/** As in the QEMU lab, and for the same reason. */
const SLOW_COPIES = ['erms', 'fsrm'].map((name) => `<feature policy='disable' name='${name}'/>`).join('');

/** libvirt takes memory devices only where it knows on which node they are. */
const numaXml = (mib: number, cpus: number): string =>
  `<numa><cell id='0' cpus='0-${cpus - 1}' memory='${mib}' unit='MiB'/></numa>`;

const pluggableXml = (mib: number): string =>
  `<memory model='virtio-mem'><target><size unit='MiB'>${mib}</size><node>0</node><block unit='MiB'>2</block><requested unit='MiB'>0</requested></target></memory>`;

const diskXml = ({ serial, file }: GuestDisk, n: number): string =>
  `<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='${file}'/><target dev='vd${DISK_LETTERS[n] ?? ''}' bus='virtio'/><readonly/><serial>${serial}</serial></disk>`;

const DISK_LETTERS = 'abcdefgh';

const portXml = ({ name, path }: GuestPort): string =>
  `<channel type='unix'><source mode='bind' path='${path}'/><target type='virtio' name='${name}'/></channel>`;
