/**
 * Which machines there are: looks again and again which of the sockets exist, keeps a monitor at each, and says what one of them must
 * know of the others. It does not know what is asked of machines.
 */
import { distinctGuestId } from '../../adapter/guest-name.js';
import type { GuestDescription } from '../../control/ports.js';
import type { GuestId } from '../../control/reading.js';
import type { EmulatorMemory } from '../../signals/emulator-memory.js';
import { addMillis, addPages, millis, NO_PAGES, type Pages } from '../../units.js';
import { endedOrAborted, untilAborted } from '../../waiting/abort.js';
import { isSameMachine, saysTheSame, type Identity } from './identity.js';
import type { Machine } from './machine.js';
import { Monitor, type MonitorOptions, type OtherMonitors } from './monitor.js';
import { KIND, sameName } from './names.js';

export interface RosterOptions extends MonitorOptions {
  /** The sockets that are there now. Must not throw. */
  readonly findSockets: () => Promise<readonly string[]>;
}

/** New machines are found within this. */
const SCAN_PAUSE = millis(2_000);
/** As long a machine that was met waits for those whose sockets come before its own, so that names go by the sockets' order. */
const TURN_LIMIT = millis(1_000);
const NOT_SCANNED = 'the monitors of this host: they have not been looked for yet';

export class Roster {
  readonly #options: RosterOptions;
  readonly #monitors = new Map<string, Monitor>();
  readonly #ids = new Map<GuestId, Monitor>();
  readonly #others: OtherMonitors = {
    metBefore: (identity, emulator, monitor) => this.#metBefore(identity, emulator, monitor),
    turnOf: (monitor) => this.#turnOf(monitor),
    twinOf: (machine, emulator) => this.#twinOf(machine, emulator),
    nameFor: (machine, monitor) => this.#nameFor(machine, monitor),
    onCame: (monitor, id) => {
      this.#ids.set(id, monitor);
    },
    onLeft: (machine, id) => {
      this.#meetSpares(machine);
      this.#ids.delete(id);
    },
  };
  #hasScanned = false;

  constructor(options: RosterOptions) {
    this.#options = options;
  }

  /** The machine of that id; null when it is gone. */
  find(guest: GuestId): Machine | null {
    return this.#ids.get(guest)?.present?.machine ?? null;
  }

  /** All that are known now, as they were last told. */
  get guests(): readonly GuestDescription[] {
    return [...this.#monitors.values()].flatMap(({ present }) => (present === null ? [] : [present.told]));
  }

  /** Where there may be machines that are not known, and why they are not. */
  get unreached(): readonly string[] {
    if (!this.#hasScanned) return [NOT_SCANNED];
    return [...this.#monitors.values()].flatMap(({ unreached }) => unreached ?? []);
  }

  /** Whether there may be a machine that is just being met, or is about to be. */
  get isMeeting(): boolean {
    return !this.#hasScanned || [...this.#monitors.values()].some(({ isMeeting }) => isMeeting);
  }

  /** What all of them hold and their host still counts as free. */
  get untouched(): Pages {
    let sum = NO_PAGES;
    for (const { present } of this.#monitors.values()) {
      if (present !== null) sum = addPages(sum, present.machine.untouched);
    }
    return sum;
  }

  /** A look at it is over: tells where other things can be done with it than before. */
  tellNews(guest: GuestId): void {
    this.#ids.get(guest)?.tellNews();
  }

  /** Looks again what of that is in the host's memory. */
  renewUntouched(): void {
    for (const { present } of this.#monitors.values()) present?.machine.renewUntouched();
  }

  /** Looks for machines until `signal` is aborted, and then lets go of all of them. Never rejects. */
  async keep(signal: AbortSignal): Promise<void> {
    const { clock, findSockets } = this.#options;
    while (!signal.aborted) {
      this.#compare(await findSockets());
      this.#hasScanned = true;
      await clock.sleepUntil(addMillis(clock.now(), SCAN_PAUSE), signal);
    }
    await Promise.all([...this.#monitors.values()].map((monitor) => this.#drop(monitor)));
  }

  #compare(sockets: readonly string[]): void {
    const there = new Set(sockets);
    for (const [path, monitor] of this.#monitors) {
      // A socket's path may be removed while the connection through it goes on.
      if (!there.has(path) && monitor.present === null) void this.#drop(monitor);
    }
    for (const path of there) {
      if (!this.#monitors.has(path)) this.#monitors.set(path, new Monitor(path, this.#options, this.#others));
    }
  }

  async #drop(monitor: Monitor): Promise<void> {
    await monitor.leave();
    this.#monitors.delete(monitor.path);
  }

  /** By its socket where another has its name. */
  #nameFor({ name }: Machine, monitor: Monitor): GuestId {
    const marked = { kind: KIND, name, mark: monitor.path };
    const plain = distinctGuestId(marked, () => false);
    const id = distinctGuestId(marked, (taken) => this.#ids.has(taken));
    monitor.tellKin(id === plain ? null : sameName(monitor.path, plain));
    return id;
  }

  /** Of machines with one name the first by its socket has the plain one, and not whichever answered first. */
  async #turnOf({ path, ending }: Monitor): Promise<void> {
    const before = [...this.#monitors.values()].filter((other) => other.path < path && other.isNew);
    if (before.length === 0) return;
    const limit = this.#options.clock.timeLimit(TURN_LIMIT);
    const allMet = Promise.all(before.map(({ met }) => met));
    await Promise.race([endedOrAborted(allMet, limit), untilAborted(ending)]);
  }

  /** At its own socket it is the one that was there; at another's it must be certain. */
  #metBefore(identity: Identity, emulator: EmulatorMemory, { last: own }: Monitor): Machine | null {
    if (own !== null && saysTheSame(identity, own)) return own;
    const elsewhere = [...this.#monitors.values()].flatMap(({ last }) => last ?? []);
    return elsewhere.find((one) => isSameMachine(identity, one, emulator)) ?? null;
  }

  /** Who is present already and is the same machine. */
  #twinOf(machine: Machine, emulator: EmulatorMemory): GuestId | null {
    const all = [...this.#monitors.values()].flatMap(({ present }) => present ?? []);
    return all.find((one) => isSameMachine(machine, one.machine, emulator))?.told.id ?? null;
  }

  /** The first monitor of a machine is gone: a second one is met again. */
  #meetSpares({ pid }: Machine): void {
    for (const { state } of this.#monitors.values()) {
      if (state.kind === 'spare' && state.qmp.peerPid() === pid) void state.qmp.close();
    }
  }
}
