/**
 * One guest of the QEMU lab: a real QEMU, emulated, with Debian's kernel, a balloon, and a monitor for the program under test.
 *
 *     const guest = await QemuGuest.boot(images, { name: 'web', memoryMib: 512, folder });
 *     await guest.run('cat /proc/meminfo');
 *     const need = await guest.load.anonymous(300);
 *     await guest.close();
 */
import { join } from 'node:path';
import { startInBackground, type Background } from '../xen/background.js';
import { CommandPort, type Ran } from './command-port.js';
import { Emulator, type EmulatorMemory } from './emulator.js';
import type { QemuImages } from './images.js';
import { GUEST_AGENT_PID, START_GUEST_AGENT } from './init.js';
import { GuestLoad } from './load.js';
import { emulatorArguments, monitorPath, portPath, type QemuGuestOptions } from './machine.js';

export type { QemuGuestOptions } from './machine.js';

export class QemuGuest {
  readonly name: string;
  /** The monitor's socket, for the program under test. */
  readonly monitor: string;
  /** Sockets of the agents' ports; whether anybody speaks there, the options say. */
  readonly guestAgentPort: string;
  readonly ownPort: string;
  readonly load: GuestLoad;
  readonly #emulator: Emulator;
  readonly #commands: CommandPort;

  private constructor(options: QemuGuestOptions, emulator: Emulator, commands: CommandPort, load: GuestLoad) {
    this.name = options.name;
    this.monitor = monitorPath(options);
    this.guestAgentPort = portPath(options, 'guestAgent');
    this.ownPort = portPath(options, 'ownAgent');
    this.#emulator = emulator;
    this.#commands = commands;
    this.load = load;
  }

  /** Resolves when the guest takes commands. The emulator ends with this process, whatever ends it. */
  static async boot(images: QemuImages, options: QemuGuestOptions): Promise<QemuGuest> {
    const log = join(options.folder, `${options.name}.log`);
    const emulator = new Emulator(emulatorArguments(images, options), log);
    try {
      const commands = await CommandPort.open(portPath(options, 'command'), emulator);
      const load = await GuestLoad.open(portPath(options, 'load'), emulator);
      return new QemuGuest(options, emulator, commands, load);
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

  tryRun(command: string, limitMs?: number): Promise<Ran> {
    return this.#commands.tryRun(command, limitMs);
  }

  /** Runs a shell command and returns what it printed; throws with that when it fails. */
  run(command: string, limitMs?: number): Promise<string> {
    return this.#commands.run(command, limitMs);
  }

  /** Starts a program of the guest in the background; its output goes to `/run/NAME.log`. */
  startProgram(command: string, name: string): Promise<Background> {
    return startInBackground(this, command, `/run/${name}.log`);
  }

  /** `SIGSTOP` and `SIGCONT` among others, to QEMU itself. */
  signal(name: NodeJS.Signals): void {
    this.#emulator.signal(name);
  }

  /** Sends a signal, `STOP` for example, to QEMU's guest agent. */
  async signalGuestAgent(name: string): Promise<void> {
    await this.run(`kill -${name} $(cat ${GUEST_AGENT_PID})`);
  }

  /** Starts it again after it was killed. */
  async startGuestAgent(): Promise<void> {
    await this.run(START_GUEST_AGENT);
  }

  /** Takes the balloon's driver out of the guest's kernel, as an administrator of the guest can at any time. */
  async unloadBalloon(): Promise<void> {
    await this.run('rmmod virtio_balloon');
  }

  async loadBalloon(): Promise<void> {
    await this.run('insmod /mod/virtio_balloon.ko');
  }

  /** Ends the machine; resolves when the emulator has ended. */
  async close(): Promise<void> {
    this.#commands.close();
    this.load.close();
    await this.#emulator.close();
  }
}
