/** The Xen lab: a real Xen with dom0 and any number of paravirtual guests, booted once and used for many tests. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeExt4 } from '../initrd.js';
import { buildXenImages, makeGuestImage } from './images.js';
import { Machine } from './machine.js';

export interface Ran {
  readonly code: number;
  readonly output: string;
}

export interface XenGuestOptions {
  readonly name: string;
  readonly memoryMib: number;
  /** The most that it could have; default: what it starts with. */
  readonly maximumMib?: number;
  /** Words for its kernel's command line. */
  readonly extra?: readonly string[];
}

const COMMAND_LIMIT_MS = 60_000;
const GUEST_UP_LIMIT_MS = 120_000;
const LOOK_PAUSE_MS = 300;
const MACHINE_MIB = 4_096;
const DOM0_MIB = 800;
const PAYLOAD_MIB = 96;

export class XenLab {
  readonly #machine: Machine;
  readonly #folder: string;

  constructor(machine: Machine, folder: string) {
    this.#machine = machine;
    this.#folder = folder;
  }

  /** Builds what is missing and boots. `repository` is the program under test, compiled. */
  static async boot(repository: string): Promise<XenLab> {
    const images = await buildXenImages();
    const folder = mkdtempSync(join(tmpdir(), 'selfballoon-xen-'));
    try {
      const guestImage = await makeGuestImage(images, repository, folder);
      const payload = join(folder, 'payload');
      mkdirSync(payload);
      cpSync(images.kernel.image, join(payload, 'vmlinuz'));
      cpSync(images.guestInitrd, join(payload, 'guest-initrd.gz'));
      for (const name of ['dom0-agent.js', 'protocol.js']) {
        cpSync(fileURLToPath(new URL(name, import.meta.url)), join(payload, name));
      }
      writeFileSync(join(payload, 'package.json'), '{"type":"module"}');
      const payloadImage = join(folder, 'payload.img');
      await makeExt4(payload, payloadImage, PAYLOAD_MIB);
      const machine = await Machine.boot({
        images,
        guestImage,
        payloadImage,
        folder,
        memoryMib: MACHINE_MIB,
        dom0Mib: DOM0_MIB,
      });
      return new XenLab(machine, folder);
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** What Xen and dom0 wrote on the machine's console. */
  console(): string {
    return readFileSync(join(this.#folder, 'console.log'), 'utf8');
  }

  /** Runs a shell command in dom0, whatever comes of it. */
  tryRun(command: string, limitMs = COMMAND_LIMIT_MS): Promise<Ran> {
    return this.#machine.request({ kind: 'dom0', command, limitMs });
  }

  /** Runs a shell command in dom0 and returns what it printed; throws when it fails. */
  async run(command: string, limitMs?: number): Promise<string> {
    return outputOf('dom0', command, await this.tryRun(command, limitMs));
  }

  /** Creates a guest and waits until it takes commands. */
  async createGuest(options: XenGuestOptions): Promise<XenGuest> {
    const { name, memoryMib, maximumMib = memoryMib, extra = [] } = options;
    const config = [
      `name="${name}"`,
      `memory=${memoryMib}`,
      `maxmem=${maximumMib}`,
      'vcpus=1',
      'kernel="/payload/vmlinuz"',
      'ramdisk="/payload/guest-initrd.gz"',
      `extra="console=hvc0 quiet psi=1 lab.name=${name} ${extra.join(' ')}"`,
      'disk=["script=block-lab,format=raw,vdev=xvda,access=r,target=/dev/nvme2n1"]',
      'on_crash="destroy"',
    ].join('\n');
    await this.run(
      `cat > /tmp/${name}.cfg <<'END'\n${config}\nEND\nrm -f /var/log/xen/console/guest-${name}.log; xl create -q /tmp/${name}.cfg`,
    );
    const guest = new XenGuest(this, this.#machine, name);
    await guest.waitUntilUp();
    return guest;
  }

  /** Ends the machine and everything in it, and leaves nothing behind. */
  async close(): Promise<void> {
    await this.#machine.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export class XenGuest {
  constructor(
    readonly lab: XenLab,
    readonly machine: Machine,
    readonly name: string,
  ) {}

  tryRun(command: string, limitMs = COMMAND_LIMIT_MS): Promise<Ran> {
    return this.machine.request({ kind: 'guest', guest: this.name, command, limitMs });
  }

  async run(command: string, limitMs?: number): Promise<string> {
    return outputOf(this.name, command, await this.tryRun(command, limitMs));
  }

  /** All that the guest wrote on its console, answers to commands left out. */
  async console(): Promise<string> {
    return this.lab.run(`cat /var/log/xen/console/guest-${this.name}.log`);
  }

  /** What Xen itself says the guest holds, in KiB. */
  async heldKib(): Promise<number> {
    const text = await this.lab.run(`xl list -l ${this.name} | grep -m1 current_memkb || xl list ${this.name}`);
    const kib = /current_memkb\D+(\d+)/.exec(text)?.[1];
    if (kib !== undefined) return Number(kib);
    return Number(text.trim().split('\n').at(-1)?.trim().split(/\s+/)[2]) * 1024;
  }

  async waitUntilUp(): Promise<void> {
    const until = Date.now() + GUEST_UP_LIMIT_MS;
    while (Date.now() < until) {
      const { output } = await this.lab.tryRun(
        `grep -c '@@UP ${this.name}' /var/log/xen/console/guest-${this.name}.log`,
      );
      if (Number(output.trim()) > 0) return;
      await sleep(LOOK_PAUSE_MS);
    }
    throw new Error(`the guest ${this.name} did not come up:\n${await this.console()}`);
  }

  async destroy(): Promise<void> {
    await this.lab.run(`xl destroy ${this.name}`);
  }
}

function outputOf(where: string, command: string, { code, output }: Ran): string {
  if (code !== 0) throw new Error(`${where}: ${command} ended with ${code}:\n${output}`);
  return output;
}
