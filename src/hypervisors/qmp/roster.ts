/**
 * Which machines there are: looks again and again which of the sockets exist, keeps a connection to each, and tells of machines that
 * came, changed and left. It does not know what is asked of them.
 */
import { ConnectionKeeper } from '../../connection/keeper.js';
import { beginsAnew, type Alarm } from '../../control/alarm.js';
import { beatInSecond } from '../../control/beat.js';
import { distinctGuestId } from '../../adapter/guest-name.js';
import { NO_LIMITS } from '../../control/limits.js';
import { blockOf } from '../../adapter/plug-devices.js';
import type { Capabilities, Clock, GuestDescription, GuestNotice } from '../../control/ports.js';
import type { GuestId } from '../../control/reading.js';
import {
  decodeEvent,
  QmpError,
  type MachineNews,
  type Qmp,
  type QmpEvent,
  type EventListener,
} from '../../qmp/index.js';
import { errorText, systemErrorCode } from '../../errors.js';
import { endedOrAborted, untilAborted } from '../../waiting/abort.js';
import { statsStayOff } from '../../signals/polling-left.js';
import { addMillis, addPages, millis, NO_PAGES, type Millis, type Pages } from '../../units.js';
import type { Inside } from '../../inside/index.js';
import type { EmulatorMemory } from '../../signals/emulator-memory.js';
import type { InsideOptions } from './inside.js';
import { Machine } from './machine.js';
import { guestNameOf, KIND, sameName, secondMonitor } from './names.js';

export interface RosterOptions {
  readonly clock: Clock;
  /** The sockets that are there now. Must not throw. */
  readonly findSockets: () => Promise<readonly string[]>;
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

/** A machine that answers. */
interface Present {
  readonly machine: Machine;
  told: GuestDescription;
}

/** One socket, for as long as it is there. */
interface Place {
  readonly ending: AbortController;
  readonly work: Promise<void>;
  present: Present | null;
  /** It was met, and waits for its name: what was changed in it must be put back already. */
  entering: Machine | null;
  /** Who was present last. */
  last: Machine | null;
  /** The machine behind it is present at another place: a second monitor, which is kept and not used. */
  spare: Qmp | null;
  /** Somebody listens there, as far as is known, and has neither answered nor failed to. */
  isMeeting: boolean;
  /** Resolves when that is over for the first time. */
  readonly met: Promise<void>;
  readonly endMeeting: () => void;
  /** What was told last of a machine elsewhere that is the same, or has the same name; null: there is none. */
  kin: string | null;
  /** Why there is nobody present; null: that is not known yet, or nobody listens there any more. */
  whyNot: string | null;
  /** QEMU has said that it ends: that its connection ends too is no news. */
  isShuttingDown: boolean;
  /** When it was last told that its guest had moved; null: it was not. */
  movedAt: Millis | null;
}

/** QEMU tells of moves once a second; one that tells more often is heard no more often than this. */
const MOVE_PAUSE = millis(250);
/** A look every second, and what comes between two. */
const OFTEN = millis(1_100);
/** New machines are found within this. */
const SCAN_PAUSE = millis(2_000);
/** As long a machine that was met waits for those whose sockets come before its own, so that names go by the sockets' order. */
const TURN_LIMIT = millis(1_000);
/** For all that is asked of a machine at the beginning. */
const MEETING_LIMIT = millis(10_000);
/** For putting back what was changed, at the end. */
const LEAVING_LIMIT = millis(1_000);

export class Roster {
  readonly #options: RosterOptions;
  readonly #places = new Map<string, Place>();
  readonly #ids = new Map<GuestId, Place>();
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
    return [...this.#places.values()].flatMap(({ present }) => (present === null ? [] : [present.told]));
  }

  /** Sockets behind which there may be machines, and why they are not known. */
  get unreached(): readonly string[] {
    return [...this.#places.values()].flatMap(({ present, whyNot }) =>
      present === null && whyNot !== null ? [whyNot] : [],
    );
  }

  /** Whether there is a socket of which it is not known yet who is behind it. */
  get isMeeting(): boolean {
    return !this.#hasScanned || [...this.#places.values()].some(({ isMeeting }) => isMeeting);
  }

  /** What all of them hold and their host still counts as free. */
  get untouched(): Pages {
    let sum = NO_PAGES;
    for (const { present } of this.#places.values()) {
      if (present !== null) sum = addPages(sum, present.machine.followed.untouched);
    }
    return sum;
  }

  /** Looks again what of that is in the host's memory. */
  renewUntouched(): void {
    for (const { present } of this.#places.values()) present?.machine.renewUntouched();
  }

  /** Looks for machines until `signal` is aborted, and then lets go of all of them. Never rejects. */
  async keep(signal: AbortSignal): Promise<void> {
    const { clock, findSockets } = this.#options;
    while (!signal.aborted) {
      this.#compare(await findSockets());
      this.#hasScanned = true;
      await clock.sleepUntil(addMillis(clock.now(), SCAN_PAUSE), signal);
    }
    await Promise.all([...this.#places.keys()].map((path) => this.#drop(path)));
  }

  #compare(sockets: readonly string[]): void {
    const there = new Set(sockets);
    for (const path of this.#places.keys()) if (!there.has(path)) void this.#dropIfLost(path);
    for (const path of there) if (!this.#places.has(path)) this.#begin(path);
  }

  /** A socket's path may be removed while the connection through it goes on. */
  async #dropIfLost(path: string): Promise<void> {
    if (this.#places.get(path)?.present === null) await this.#drop(path);
  }

  async #drop(path: string): Promise<void> {
    const place = this.#places.get(path);
    if (place === undefined) return;
    const limit = this.#options.clock.timeLimit(LEAVING_LIMIT);
    await (place.present?.machine ?? place.entering)?.leave(limit);
    place.ending.abort();
    await place.work;
    this.#places.delete(path);
  }

  #begin(path: string): void {
    const ending = new AbortController();
    const { clock, tell } = this.#options;
    const keeper = new ConnectionKeeper<Qmp>({
      to: `the QEMU at ${path}`,
      clock,
      connect: (signal) => this.#notingWhyNot(place, this.#options.connect(path, this.#listenerOf(path), signal)),
      onConnected: (qmp) => this.#notingWhyNot(place, this.#meet(path, qmp)),
      tell: (message) => {
        if (this.#places.get(path)?.isShuttingDown !== true) tell(message);
      },
    });
    let endMeeting = (): void => undefined;
    const met = new Promise<void>((resolve) => (endMeeting = resolve));
    // The map has it before anything can come over the connection.
    const place: Place = {
      ending,
      work: Promise.resolve().then(() => keeper.keep(ending.signal)),
      present: null,
      entering: null,
      last: null,
      spare: null,
      kin: null,
      isMeeting: true,
      met,
      endMeeting,
      whyNot: null,
      isShuttingDown: false,
      movedAt: null,
    };
    this.#places.set(path, place);
  }

  async #notingWhyNot<T>(place: Place, beginning: Promise<T>): Promise<T> {
    try {
      return await beginning;
    } catch (error) {
      noteMet(place);
      place.whyNot = isDeserted(error, place) ? null : errorText(error);
      throw error;
    }
  }

  async #meet(path: string, qmp: Qmp): Promise<void> {
    const { clock, switchesPolling } = this.#options;
    const known = [...this.#places.values()].flatMap(({ last }) => last ?? []);
    const limit = clock.timeLimit(MEETING_LIMIT);
    const machine = await Machine.meet({ qmp, socket: path, clock, known, switchesPolling }, limit);
    const place = this.#places.get(path);
    if (place === undefined) return;
    place.entering = machine;
    await this.#awaitTurn(path, place);
    place.entering = null;
    if (place.ending.signal.aborted) return;
    const emulator = this.#options.openEmulator(machine.pid);
    const twin = emulator.isSeen() ? this.#twinOf(machine) : null;
    if (twin !== null) {
      emulator.close();
      this.#spare(place, qmp, secondMonitor(path, twin.told.id));
      return;
    }
    const id = this.#nameFor(machine, path, place);
    const told = describe(id, machine);
    machine.enter(beatInSecond(told), this.#openInside(id, machine, place), emulator);
    place.present = { machine, told };
    place.last = machine;
    noteMet(place);
    place.whyNot = null;
    place.isShuttingDown = false;
    this.#ids.set(id, place);
    this.#options.put({ kind: 'guest-came', guest: told });
    if (machine.balloon?.polling.isOff === true) this.#options.tell(statsStayOff(id));
    void qmp.closed.then(() => {
      this.#left(place, id);
    });
  }

  /** By its socket where another has its name. */
  #nameFor({ name }: Machine, path: string, place: Place): GuestId {
    const marked = { kind: KIND, name, mark: path };
    const plain = distinctGuestId(marked, () => false);
    const id = distinctGuestId(marked, (taken) => this.#ids.has(taken));
    this.#tellKin(place, id === plain ? null : sameName(path, plain));
    return id;
  }

  /** Connections come and go; what is still as it was told is no news. */
  #tellKin(place: Place, kin: string | null): void {
    if (kin !== null && kin !== place.kin) this.#options.tell(kin);
    place.kin = kin;
  }

  /** Of machines with one name the first by its socket has the plain one, and not whichever answered first. */
  async #awaitTurn(path: string, { ending }: Place): Promise<void> {
    const isBefore = ([other, { isMeeting, last }]: [string, Place]): boolean =>
      other < path && isMeeting && last === null;
    const before = [...this.#places].filter(isBefore).map(([, { met }]) => met);
    if (before.length === 0) return;
    const limit = this.#options.clock.timeLimit(TURN_LIMIT);
    await Promise.race([endedOrAborted(Promise.all(before), limit), untilAborted(ending.signal)]);
  }

  /** Who is present already and is the same machine: one QEMU process has one of each name. */
  #twinOf({ pid, ownName }: Machine): Present | null {
    const all = [...this.#places.values()].flatMap(({ present }) => present ?? []);
    return all.find(({ machine }) => machine.pid === pid && machine.ownName === ownName) ?? null;
  }

  #spare(place: Place, qmp: Qmp, why: string): void {
    this.#tellKin(place, why);
    place.spare = qmp;
    noteMet(place);
    place.whyNot = null;
    place.isShuttingDown = false;
    void qmp.closed.then(() => (place.spare = null));
  }

  /** The first monitor of a machine is gone: a second one is met again. */
  #meetSpares({ pid }: Machine): void {
    for (const { spare } of this.#places.values()) if (spare?.peerPid() === pid) void spare.close();
  }

  #openInside(guest: GuestId, { pid, ports }: Machine, place: Place): Inside {
    const { openInside, put, tell } = this.#options;
    const tellUnlessEnding = (message: string): void => {
      if (!place.isShuttingDown) tell(message);
    };
    const onAlarm = (alarm: Alarm): void => {
      if (place.present?.told.id === guest) put({ kind: 'guest-alarm', guest, alarm });
    };
    return openInside({ guest, pid, ports, onAlarm, tell: tellUnlessEnding });
  }

  #left(place: Place, id: GuestId): void {
    if (place.present?.told.id !== id) return;
    const { machine } = place.present;
    void machine.leaveInside(this.#options.clock.timeLimit(LEAVING_LIMIT));
    place.present = null;
    this.#meetSpares(machine);
    this.#ids.delete(id);
    this.#options.put({ kind: 'guest-left', guest: id });
  }

  #listenerOf(path: string): EventListener {
    return {
      onEvent: (event) => {
        this.#hear(path, event);
      },
      onError: (error) => {
        this.#options.tell(`an event of the QEMU at ${path} was not understood: ${String(error)}`);
      },
    };
  }

  #hear(path: string, event: QmpEvent): void {
    const place = this.#places.get(path);
    const news = decodeEvent(event);
    if (place === undefined || news === null) return;
    if (news.kind === 'shutdown') place.isShuttingDown = true;
    if (news.kind === 'balloon-change') place.present?.machine.followed.hear(this.#options.clock.now());
    if (MOVES.has(news.kind)) this.#tellMove(place);
    if (OF_DEVICES.has(news.kind)) place.present?.machine.doubtBase(this.#options.clock.now());
    if (news.kind === 'reset' && place.present !== null) {
      const { machine, told } = place.present;
      const now = this.#options.clock.now();
      machine.followed.beginAnew(now, machine.residence);
      this.#options.put({ kind: 'guest-alarm', guest: told.id, alarm: beginsAnew(now) });
    }
    if (news.kind === 'device-deleted' && place.present !== null) {
      place.present.machine.forget(news.path);
      this.#tellChange(place.present);
    }
  }

  #tellMove(place: Place): void {
    const now = this.#options.clock.now();
    if (place.present === null || isLookedAtOften(place.present.machine)) return;
    if (place.movedAt !== null && now - place.movedAt < MOVE_PAUSE) return;
    place.movedAt = now;
    this.#options.put({ kind: 'guest-moved', guest: place.present.told.id });
  }

  #tellChange(present: Present): void {
    const guest = describe(present.told.id, present.machine);
    const [is, was] = [guest.capabilities, present.told.capabilities];
    if (is.canSetTarget === was.canSetTarget && is.growthBlock === was.growthBlock) return;
    present.told = guest;
    this.#options.put({ kind: 'guest-changed', guest });
  }
}

/** The next look comes soon enough by itself. On a host of many guests that is the rule, and each target leads to such an event. */
const isLookedAtOften = ({ lookGap }: Machine): boolean => lookGap !== null && lookGap <= OFTEN;

function noteMet(place: Place): void {
  place.isMeeting = false;
  place.endMeeting();
}

/**
 * Whether nobody is behind a socket any more: nobody listens there, or what listens in front of a QEMU that was there, as a proxy does,
 * ends each connection before anything came. A QEMU that hangs, or is held by somebody else, does not end it.
 */
function isDeserted(error: unknown, { last }: Place): boolean {
  const code = systemErrorCode(error instanceof Error ? error.cause : null);
  if (code === 'ECONNREFUSED' || code === 'ENOENT') return true;
  const isEnded =
    error instanceof QmpError && error.qmpCode === 'EUNAVAILABLE' && (code === null || code === 'ECONNRESET');
  return isEnded && last !== null;
}

/** News of a guest that holds more or less than before. */
const MOVES: ReadonlySet<MachineNews['kind']> = new Set(['balloon-change', 'memory-device-size-change']);

/** News of devices, which may be DIMMs. */
const OF_DEVICES: ReadonlySet<MachineNews['kind']> = new Set(['device-deleted', 'dimm-status']);

const describe = (id: GuestId, { name, balloon, plugs }: Machine): GuestDescription => ({
  id,
  name: guestNameOf(name),
  capabilities: balloon === null ? WATCHED : { ...withGrowth(blockOf(plugs)), deflatesOnOom: balloon.deflatesOnOom },
  pool: KIND,
  limits: NO_LIMITS,
});

const DRIVEN: Capabilities = { canSetTarget: true, hasOverflowTier: false, isSimulated: false };
const withGrowth = (block: Pages | null): Capabilities => (block === null ? DRIVEN : { ...DRIVEN, growthBlock: block });
const WATCHED: Capabilities = { ...DRIVEN, canSetTarget: false };
