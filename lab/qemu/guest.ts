/**
 * One guest of the QEMU lab: a real QEMU, emulated, with Debian's kernel, a balloon, and a monitor for the program under test.
 *
 *     const guest = await QemuGuest.boot(images, { name: 'web', memoryMib: 512, folder });
 *     await guest.run('cat /proc/meminfo');
 *     const need = await guest.load.anonymous(300);
 *     await guest.close();
 */
import { join } from 'node:path';
import { Emulator, type EmulatorMemory } from './emulator.js';
import type { QemuImages } from './images.js';
import { LabGuest, openPorts, type GuestPorts } from './lab-guest.js';
import { emulatorArguments, monitorPath, portPath, type QemuGuestOptions } from './machine.js';

export type { QemuGuestOptions } from './machine.js';

export class QemuGuest extends LabGuest {
  /** The monitor's socket, for the program under test. */
  readonly monitor: string;
  /** Sockets of the agents' ports; whether anybody speaks there, the options say. */
  readonly guestAgentPort: string;
  readonly ownPort: string;
  readonly #emulator: Emulator;

  private constructor(options: QemuGuestOptions, emulator: Emulator, ports: GuestPorts) {
    super(options, ports);
    this.monitor = monitorPath(options);
    this.guestAgentPort = portPath(options, 'guestAgent');
    this.ownPort = portPath(options, 'ownAgent');
    this.#emulator = emulator;
  }

  /** Resolves when the guest takes commands. The emulator ends with this process, whatever ends it. */
  static async boot(images: QemuImages, options: QemuGuestOptions): Promise<QemuGuest> {
    const log = join(options.folder, `${options.name}.log`);
    const emulator = new Emulator(emulatorArguments(images, options), log);
    try {
      return new QemuGuest(options, emulator, await openPorts(options, emulator));
    } catch (error) {
      await emulator.close();
      throw error;
    }
  }

  get pid(): number {
    return this.#emulator.pid;
  }

  get memory(): EmulatorMemory {
    return this.#emulator.memory;
  }

  /** Ends the machine; resolves when the emulator has ended. */
  async close(): Promise<void> {
    this.closePorts();
    await this.#emulator.close();
  }
}
