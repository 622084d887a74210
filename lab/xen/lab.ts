/**
 * The Xen lab: a real Xen with dom0 and any number of paravirtual guests under emulation, booted once and used for many tests.
 *
 *     const web = { name: 'web', memoryMib: 512 };
 *     const lab = await XenLab.boot(requireReady(findXenLab()), { repository, guests: [web] });
 *     const guest = await lab.createGuest(web);
 *     await guest.run('cat /proc/meminfo');
 *     await lab.close();
 */
import { rmSync } from 'node:fs';
import { makeRunFolder } from '../run-folder.js';
import { makeAppImage } from '../app-image.js';
import { GUEST_INITRD, GUEST_KERNEL } from './build-dom0.js';
import { Dom0 } from './dom0.js';
import { machineMib, type GuestRoom } from './emulator.js';
import { XenGuest } from './guest.js';
import type { XenImages } from './images.js';
import { Machine } from './machine.js';
import { DOM0_DISKS } from './scripts.js';

export interface XenGuestOptions extends GuestRoom {
  /** Unique in the lab; its host name too. */
  readonly name: string;
  /** Words for its kernel's command line. */
  readonly extra?: readonly string[];
}

/** Seen: 4 s on a quiet machine, 70 s for two at once on one with five times as much work as cores. */
const CREATE_LIMIT_MS = 300_000;
/** What a guest's disk for outgoing files holds, packed. */
const OUTBOX_MIB = 16;
const DOM0_MIB = 800;

export interface XenLabOptions {
  /** The program under test, compiled. */
  readonly repository: string;
  /** Those for which the machine has room, all at the same time. */
  readonly guests: readonly GuestRoom[];
}

export class XenLab {
  readonly dom0: Dom0;
  readonly #machine: Machine;
  readonly #folder: string;

  private constructor(machine: Machine, folder: string) {
    this.#machine = machine;
    this.#folder = folder;
    this.dom0 = new Dom0(machine);
  }

  /** Boots. The emulator ends with this process, whatever ends it. */
  static async boot(images: XenImages, { repository, guests }: XenLabOptions): Promise<XenLab> {
    const folder = makeRunFolder('selfballoon-xen');
    try {
      const appImage = await makeAppImage(repository, folder);
      const memoryMib = machineMib(DOM0_MIB, guests);
      const machine = await Machine.boot({ images, appImage, folder, memoryMib, dom0Mib: DOM0_MIB });
      return new XenLab(machine, folder);
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** Creates a guest and waits until it takes commands. Several may be created at once. */
  async createGuest(options: XenGuestOptions): Promise<XenGuest> {
    const { name } = options;
    const outbox = `/run/${name}.outbox`;
    const made = await this.dom0.run(
      [
        `truncate -s ${OUTBOX_MIB}M ${outbox} && loop=$(losetup -f --show ${outbox})`,
        `cat > /tmp/${name}.cfg <<END\n${guestConfig(options, '$loop')}\nEND`,
        `xl create -q /tmp/${name}.cfg && domain=$(xl domid ${name})`,
        'echo console $domain $(xenstore-read /local/domain/$domain/console/tty)',
      ].join('\n'),
      CREATE_LIMIT_MS,
    );
    const [, domain = '', tty = ''] = /console (\d+) (\S+)/.exec(made) ?? [];
    const guest = new XenGuest(this.#machine, this.dom0, {
      name,
      console: { domain: Number(domain), tty },
      outbox: { file: outbox, device: '/dev/xvdc' },
    });
    await guest.waitUntilUp();
    return guest;
  }

  /** Ends the machine and everything in it, and leaves nothing behind. */
  async close(): Promise<void> {
    await this.#machine.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function guestConfig({ name, memoryMib, maximumMib = memoryMib, extra = [] }: XenGuestOptions, outbox: string): string {
  const disk = (device: string, target: string, access = 'r'): string =>
    `"script=block-lab,format=raw,vdev=${device},access=${access},target=${target}"`;
  return [
    `name="${name}"`,
    `memory=${memoryMib}`,
    `maxmem=${maximumMib}`,
    'vcpus=1',
    `kernel="${GUEST_KERNEL}"`,
    `ramdisk="${GUEST_INITRD}"`,
    `extra="${['console=hvc0 quiet psi=1', `lab.name=${name}`, ...extra].join(' ')}"`,
    `disk=[${disk('xvda', DOM0_DISKS.guestRoot)},${disk('xvdb', DOM0_DISKS.app)},${disk('xvdc', outbox, 'w')}]`,
    'on_crash="destroy"',
  ].join('\n');
}
