/**
 * The monitor at one socket, for as long as the socket is there: keeps the connection, gets to know the machine behind it, and tells of
 * what that says unasked. It knows nothing of other monitors but what it must ask for: its turn, a name, and whether they lead to the same
 * machine.
 */
import { canDoTheSame } from '../../adapter/abilities.js';
import { ConnectionKeeper } from '../../connection/keeper.js';
import { beginsAnew, type Alarm } from '../../control/alarm.js';
import { beatInSecond } from '../../control/beat.js';
import type { Clock, GuestNotice } from '../../control/ports.js';
import type { GuestId } from '../../control/reading.js';
import type { Inside } from '../../inside/index.js';
import { decodeEvent, type EventListener, type MachineNews, type Qmp, type QmpEvent } from '../../qmp/index.js';
import type { EmulatorMemory } from '../../signals/emulator-memory.js';
import { keptNews, keptNoMore } from '../../signals/kept-news.js';
import { statsStayOff } from '../../signals/polling-left.js';
import { millis, type Millis } from '../../units.js';
import { describeKept, describeMachine } from './description.js';
import { saysTheSame, type Identity } from './identity.js';
import { isAgentPort, type InsideOptions } from './inside.js';
import { Machine } from './machine.js';
import { failedState, isMeeting, MEETING, type MonitorState, type Present } from './monitor-state.js';
import { secondMonitor } from './names.js';

export interface MonitorOptions {
  readonly clock: Clock;
  readonly connect: (path: string, events: EventListener, signal: AbortSignal) => Promise<Qmp>;
  /** Looks at the memory of the process behind a machine; null: it is not known. */
  readonly openEmulator: (pid: number | null) => EmulatorMemory;
  /** Begins to speak with those inside of a machine. */
  readonly openInside: (options: Pick<InsideOptions, 'guest' | 'pid' | 'ports' | 'onAlarm' | 'tell'>) => Inside;
  /** Whether guests are asked for their statistics, whatever was set before. */
  readonly switchesPolling: boolean;
  readonly put: (notice: GuestNotice) => void;
  /** Told, in words for the log, what a person should know of. */
  readonly tell: (message: string) => void;
}

/** What a monitor must know of the others, and they of it. */
export interface OtherMonitors {
  /** The machine that was behind this one last, or else behind any other, where it is the same; null: there is none. */
  readonly metBefore: (identity: Identity, emulator: EmulatorMemory, monitor: Monitor) => Machine | null;
  /** Resolves when it may have a name. Never rejects. */
  readonly turnOf: (monitor: Monitor) => Promise<void>;
  /** The guest that is driven at another one and is in the same machine; null: there is none. */
  readonly twinOf: (machine: Machine, emulator: EmulatorMemory) => GuestId | null;
  readonly nameFor: (machine: Machine, monitor: Monitor) => GuestId;
  readonly onCame: (monitor: Monitor, id: GuestId) => void;
  readonly onLeft: (machine: Machine, id: GuestId) => void;
}

/** QEMU tells of moves once a second; one that tells more often is heard no more often than this. */
const MOVE_PAUSE = millis(250);
/** A look every second, and what comes between two. */
const OFTEN = millis(1_100);
/** For all that is asked of a machine at the beginning. */
const MEETING_LIMIT = millis(10_000);
/** For putting back what was changed, at the end. */
const LEAVING_LIMIT = millis(1_000);

export class Monitor {
  readonly path: string;
  /** Resolves when whoever is there has been met, or has failed to be, for the first time. */
  readonly met: Promise<void>;
  readonly #options: MonitorOptions;
  readonly #others: OtherMonitors;
  readonly #ending = new AbortController();
  readonly #work: Promise<void>;
  #state: MonitorState = MEETING;
  #endFirstMeeting: (() => void) | null = null;
  /** It is let go of: nobody is to enter any more, while what was changed is put back. */
  #isLeaving = false;
  /** Who was present last. */
  #last: Machine | null = null;
  /** What was told last of a machine elsewhere that is the same, or has the same name; null: there is none. */
  #kin: string | null = null;
  /** Of whom it was told last that its QEMU keeps what the guest gives up; null: of nobody, or that is over. */
  #keptTold: Identity | null = null;
  /** QEMU has said that it ends: that its connection ends too is no news. */
  #isShuttingDown = false;
  /** When it was last told that its guest had moved; null: it was not. */
  #movedAt: Millis | null = null;

  /** Begins to connect soon, not at once: whoever makes it must have it when something comes. */
  constructor(path: string, options: MonitorOptions, others: OtherMonitors) {
    this.path = path;
    this.#options = options;
    this.#others = others;
    this.met = new Promise<void>((resolve) => (this.#endFirstMeeting = resolve));
    const { clock, connect } = options;
    const keeper = new ConnectionKeeper<Qmp>({
      to: `the QEMU at ${path}`,
      clock,
      connect: (signal) => this.#notingFailure(connect(path, this.#listener(), signal)),
      onConnected: (qmp) => this.#notingFailure(this.#meet(qmp)),
      tell: (message) => {
        this.#tellUnlessEnding(message);
      },
    });
    this.#work = Promise.resolve().then(() => keeper.keep(this.#ending.signal));
  }

  get state(): MonitorState {
    return this.#state;
  }

  /** The machine that is driven here; null: there is none. */
  get present(): Present | null {
    return this.#state.kind === 'present' ? this.#state : null;
  }

  /** Whether somebody is being met, or is about to be. */
  get isMeeting(): boolean {
    return isMeeting(this.#state);
  }

  /** Why nobody is known of whom it is not certain that he is not there; null: that is not so. */
  get unreached(): string | null {
    if (this.#state.kind === 'failing') return this.#state.why;
    return this.isMeeting ? `the QEMU at ${this.path} has not answered yet` : null;
  }

  /** Who was present last. */
  get last(): Machine | null {
    return this.#last;
  }

  /** Whether it was neither met nor failed to be, ever. */
  get isNew(): boolean {
    return this.#endFirstMeeting !== null;
  }

  /** Aborted when it is let go of. */
  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  /** Puts back what was changed in the machine, and lets go of it. Never rejects. */
  async leave(): Promise<void> {
    this.#isLeaving = true;
    const state = this.#state;
    const limit = this.#options.clock.timeLimit(LEAVING_LIMIT);
    if (state.kind === 'present' || state.kind === 'waiting') await state.machine.leave(limit);
    this.#ending.abort();
    await this.#work;
  }

  /** Connections come and go; what is still as it was told is no news. */
  tellKin(kin: string | null): void {
    if (kin !== null && kin !== this.#kin) this.#options.tell(kin);
    this.#kin = kin;
  }

  #become(state: MonitorState): void {
    this.#state = state;
    if (isMeeting(state)) return;
    this.#endFirstMeeting?.();
    this.#endFirstMeeting = null;
  }

  async #notingFailure<T>(beginning: Promise<T>): Promise<T> {
    try {
      return await beginning;
    } catch (error) {
      this.#become(failedState(error, this.#last));
      throw error;
    }
  }

  async #meet(qmp: Qmp): Promise<void> {
    const emulator = this.#options.openEmulator(qmp.peerPid());
    let isKept = false;
    try {
      isKept = await this.#meetAs(qmp, emulator);
    } finally {
      if (!isKept) emulator.close();
    }
  }

  /** Returns whether its emulator is followed from now on. */
  async #meetAs(qmp: Qmp, emulator: EmulatorMemory): Promise<boolean> {
    const { clock, switchesPolling } = this.#options;
    const limit = clock.timeLimit(MEETING_LIMIT);
    const metBefore = (identity: Identity): Machine | null => this.#others.metBefore(identity, emulator, this);
    const machine = await Machine.meet({ qmp, socket: this.path, clock, metBefore, switchesPolling }, limit);
    this.#become({ kind: 'waiting', machine });
    await this.#others.turnOf(this);
    if (this.#isLeaving) return false;
    const twin = this.#others.twinOf(machine, emulator);
    if (twin === null) this.#enter(machine, emulator, qmp);
    else this.#spare(qmp, secondMonitor(this.path, twin));
    return twin === null;
  }

  #enter(machine: Machine, emulator: EmulatorMemory, qmp: Qmp): void {
    const id = this.#others.nameFor(machine, this);
    machine.enter(beatInSecond({ id }), this.#openInside(id, machine), emulator);
    const told = describeMachine(id, machine);
    this.#last = machine;
    this.#isShuttingDown = false;
    this.#become({ kind: 'present', machine, told });
    this.#others.onCame(this, id);
    this.#options.put({ kind: 'guest-came', guest: told });
    if (machine.balloon?.polling.isOff === true) this.#options.tell(statsStayOff(id));
    this.#tellKept(id, machine);
    void qmp.closed.then(() => {
      this.#left(id);
    });
  }

  #left(id: GuestId): void {
    const { present } = this;
    if (present?.told.id !== id) return;
    const { machine } = present;
    void machine.leaveInside(this.#options.clock.timeLimit(LEAVING_LIMIT));
    this.#become(MEETING);
    this.#others.onLeft(machine, id);
    this.#options.put({ kind: 'guest-left', guest: id });
  }

  #spare(qmp: Qmp, why: string): void {
    this.tellKin(why);
    this.#isShuttingDown = false;
    const spare: MonitorState = { kind: 'spare', qmp };
    this.#become(spare);
    void qmp.closed.then(() => {
      if (this.#state === spare) this.#become(MEETING);
    });
  }

  #openInside(guest: GuestId, { pid, ports }: Machine): Inside {
    const { openInside, put } = this.#options;
    const tell = (message: string): void => {
      this.#tellUnlessEnding(message);
    };
    const onAlarm = (alarm: Alarm): void => {
      if (this.present?.told.id === guest) put({ kind: 'guest-alarm', guest, alarm });
    };
    return openInside({ guest, pid, ports, onAlarm, tell });
  }

  #tellUnlessEnding(message: string): void {
    if (!this.#isShuttingDown) this.#options.tell(message);
  }

  #listener(): EventListener {
    return {
      onEvent: (event) => {
        this.#hear(event);
      },
      onError: (error) => {
        this.#options.tell(`an event of the QEMU at ${this.path} was not understood: ${String(error)}`);
      },
    };
  }

  #hear(event: QmpEvent): void {
    const news = decodeEvent(event);
    if (news?.kind === 'shutdown') this.#isShuttingDown = true;
    const { present } = this;
    if (news !== null && present !== null) this.#hearOf(present, news);
  }

  #hearOf(present: Present, news: MachineNews): void {
    const { machine, told } = present;
    const now = this.#options.clock.now();
    if (news.kind === 'balloon-change') machine.followed.hear(now);
    if (MOVES.has(news.kind)) this.#tellMove(present, now);
    if (OF_DEVICES.has(news.kind)) machine.doubtBase(now);
    // Opened as closed: of two changes within a second QEMU tells one.
    if (news.kind === 'serial-port-change' && isAgentPort(machine.ports, news.id)) machine.forgetInside();
    if (news.kind === 'reset') {
      machine.forgetInside();
      machine.followed.beginAnew(now, machine.residence);
      this.#options.put({ kind: 'guest-alarm', guest: told.id, alarm: beginsAnew(now) });
    }
    if (news.kind === 'device-deleted') {
      machine.forget(news.path);
      this.#tellChange(present);
    }
  }

  /** What a look has found may let other things be done with its machine than before. */
  tellNews(): void {
    const { present } = this;
    if (present === null) return;
    present.machine.renewKept();
    this.#tellChange(present);
    this.#tellKept(present.told.id, present.machine);
  }

  /** Connections come and go; what is still as it was told is no news. Nothing would be taken from a machine without a balloon. */
  #tellKept(id: GuestId, machine: Machine): void {
    const { kept, balloon } = machine;
    if (balloon === null) return;
    const isTold = this.#keptTold !== null && saysTheSame(this.#keptTold, machine);
    const { pid, ownName, uuid } = machine;
    this.#keptTold = kept === null ? null : { pid, ownName, uuid };
    if (isTold === (kept !== null)) return;
    this.#options.tell(kept === null ? keptNoMore(id) : keptNews(id, describeKept(kept)));
  }

  #tellMove({ machine, told }: Present, now: Millis): void {
    if (isLookedAtOften(machine)) return;
    if (this.#movedAt !== null && now - this.#movedAt < MOVE_PAUSE) return;
    this.#movedAt = now;
    this.#options.put({ kind: 'guest-moved', guest: told.id });
  }

  #tellChange({ machine, told }: Present): void {
    const guest = describeMachine(told.id, machine);
    if (canDoTheSame(guest.capabilities, told.capabilities)) return;
    this.#become({ kind: 'present', machine, told: guest });
    this.#options.put({ kind: 'guest-changed', guest });
  }
}

/** The next look comes soon enough by itself. On a host of many guests that is the rule, and each target leads to such an event. */
const isLookedAtOften = ({ lookGap }: Machine): boolean => lookGap !== null && lookGap <= OFTEN;

/** News of a guest that holds more or less than before. */
const MOVES: ReadonlySet<MachineNews['kind']> = new Set(['balloon-change', 'memory-device-size-change']);

/** News of devices, which may be DIMMs, or memory that was plugged into a device that nobody knows yet. */
const OF_DEVICES: ReadonlySet<MachineNews['kind']> = new Set([
  'device-deleted',
  'dimm-status',
  'memory-device-size-change',
]);
