/** One guest of the lab, whatever started its machine: what can be done in it, and to its emulator. */
import { startInBackground, type Background } from '../xen/background.js';
import { waitInPlace, type Shell } from '../xen/shell.js';
import { CommandPort, type Ran } from './command-port.js';
import type { EmulatorMemory } from './emulator.js';
import { GUEST_AGENT_PID, START_GUEST_AGENT } from './init.js';
import { GuestLoad } from './load.js';
import { portPath, type QemuGuestOptions } from './machine.js';
import type { Watched } from './waiting.js';

/** The ways into a guest that is up. */
export interface GuestPorts {
  readonly commands: CommandPort;
  readonly load: GuestLoad;
}

/** Resolves when the guest takes commands; throws with the emulator's last words when it does not. */
export async function openPorts(options: QemuGuestOptions, emulator: Watched): Promise<GuestPorts> {
  const commands = await CommandPort.open(portPath(options, 'command'), emulator);
  try {
    return { commands, load: await GuestLoad.open(portPath(options, 'load'), emulator) };
  } catch (error) {
    commands.close();
    throw error;
  }
}

export abstract class LabGuest {
  readonly name: string;
  /** What it is told to use memory for. */
  readonly load: GuestLoad;
  readonly #commands: CommandPort;

  protected constructor({ name }: QemuGuestOptions, { commands, load }: GuestPorts) {
    this.name = name;
    this.load = load;
    this.#commands = commands;
  }

  /** The emulator's process. */
  abstract get pid(): number;

  /** Of this machine, held by the emulator. */
  abstract get memory(): EmulatorMemory;

  tryRun(command: string, limitMs?: number): Promise<Ran> {
    return this.#commands.tryRun(command, limitMs);
  }

  /** Runs a shell command and returns what it printed; throws with that when it fails. */
  run(command: string, limitMs?: number): Promise<string> {
    return this.#commands.run(command, limitMs);
  }

  /** See `Shell`. */
  readonly waitUntil: Shell['waitUntil'] = (condition, options) =>
    waitInPlace(this.name, (command, limitMs) => this.tryRun(command, limitMs))(condition, options);

  /** Starts a program of the guest in the background; its output goes to `/run/NAME.log`. */
  startProgram(command: string, name: string): Promise<Background> {
    return startInBackground(this, command, `/run/${name}.log`);
  }

  /** `SIGSTOP` and `SIGCONT` among others, to QEMU itself. */
  signal(name: NodeJS.Signals): void {
    process.kill(this.pid, name);
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

  protected closePorts(): void {
    this.#commands.close();
    this.load.close();
  }
}
