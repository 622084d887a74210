/**
 * One virtual machine behind its monitor: who it is, what it has, what it says of itself, and what is asked of it.
 * It keeps what does not change from look to look, and decides nothing.
 */
import {
  addPages,
  bytesToPagesDown,
  millis,
  NO_PAGES,
  pagesToBytes,
  type Bytes,
  type Millis,
  type Pages,
} from '../../units.js';
import {
  balloonArguments,
  decodeBalloon,
  decodeDeflateOnOom,
  decodeGuestStats,
  decodeMemorySizeSummary,
  decodeName,
  decodeUuid,
  type GuestStats,
  type Qmp,
} from '../../qmp/index.js';
import { PlugHistory } from '../../adapter/plug-spread.js';
import type { Beat } from '../../control/beat.js';
import type { Clock } from '../../control/ports.js';
import { NOTHING_SAID, type Inside, type Said } from '../../inside/index.js';
import type { EmulatorMemory } from '../../signals/emulator-memory.js';
import { FollowedGuest, residentAs, type Residence } from '../../signals/followed-guest.js';
import type { KeptMemory } from '../../signals/kept-memory.js';
import { isToldInside } from '../../signals/polling-phase.js';
import type { PlugSizes } from '../../signals/plugged.js';
import { answerOrNull } from './answer-or-null.js';
import { findBalloon } from './balloon-device.js';
import { BaseMemory } from './base-memory.js';
import { findGuestPorts, type GuestPorts } from './guest-ports.js';
import type { Identity } from './identity.js';
import {
  findMemoryDevices,
  hasOthers,
  seenIn,
  sizesOf,
  type MachinePlug,
  type MachinePlugNow,
} from './memory-devices.js';
import { machineName } from './names.js';
import { StatsPolling } from './stats-polling.js';

/** A target is waited for until QEMU answers or ends: it must not land after a newer one. */
const FOREVER = millis(86_400_000);

export interface Balloon {
  readonly path: string;
  /** QEMU offers the guest to deflate it itself when it runs out of memory; Linux then goes on counting it as its own memory. */
  readonly deflatesOnOom: boolean;
  readonly polling: StatsPolling;
}

/** What one look brings. Null: QEMU did not say, or there is nothing to say. */
export interface Look {
  readonly actual: Bytes | null;
  readonly stats: GuestStats | null;
  /** What is known from inside the guest. */
  readonly inside: Said;
  readonly plugged: PlugSizes | null;
  /** Whether it had devices for that when the look began. */
  readonly hasPlugs: boolean;
}

export class Machine implements Identity {
  readonly #qmp: Qmp;
  readonly #base: BaseMemory;
  /** Clean of nothing: as QEMU or the file system says it. */
  readonly name: string;
  /** As QEMU says it; null: it has none. */
  readonly ownName: string | null;
  readonly uuid: string | null;
  /** What is remembered from look to look. */
  readonly followed: FollowedGuest;
  /** What is remembered of how memory is spread over its devices. */
  readonly plugHistory: PlugHistory;
  /** The process behind the monitor; null: not known. */
  readonly pid: number | null;
  /** The ways into the guest. */
  readonly ports: GuestPorts;
  #balloon: Balloon | null;
  #plugs: readonly MachinePlug[];
  #inside: Inside | null = null;
  #emulator: EmulatorMemory | null = null;
  #kept: KeptMemory | null = null;
  #beat: Beat | null = null;
  #isTold = false;
  #lookedAt: Millis | null = null;
  #lookGap: Millis | null = null;
  /** As last said. */
  #plugged = NO_PAGES;
  /** How many devices, of whatever kind. */
  #unplugged = 0;

  private constructor(qmp: Qmp, { name, pid, ownName, uuid, base, ports, balloon, plugs, devices, before }: Met) {
    this.#qmp = qmp;
    this.pid = pid;
    this.followed = new FollowedGuest({ isHostLate: false, before: before?.followed ?? null });
    this.name = name;
    this.ownName = ownName;
    this.uuid = uuid;
    this.#base = base;
    this.#followBase();
    this.ports = ports;
    this.#balloon = balloon;
    this.#plugs = plugs;
    this.plugHistory = before?.plugHistory ?? new PlugHistory();
    this.plugHistory.noteSeen(seenIn(plugs, devices));
  }

  /** Gets to know the machine. Named by QEMU's name, its UUID, or else its socket's file. Rejects with `QmpError`. */
  static async meet(
    { qmp, socket, clock, metBefore, switchesPolling }: Meeting,
    signal: AbortSignal,
  ): Promise<Machine> {
    const ask = (command: string): Promise<unknown> => answerOrNull(qmp.execute(command, {}, { signal }));
    const began = clock.now();
    const [named, numbered, summary, devices] = await Promise.all([
      ask('query-name'),
      ask('query-uuid'),
      ask('query-memory-size-summary'),
      ask('query-memory-devices'),
    ]);
    const identity = { pid: qmp.peerPid(), ownName: decodeName(named), uuid: decodeUuid(numbered) };
    const before = metBefore(identity);
    const name = machineName(identity.ownName, identity.uuid, socket);
    const [{ plugs, dimms }, balloon, ports] = await Promise.all([
      findMemoryDevices(qmp, devices, signal),
      meetBalloon({ qmp, clock, foundBefore: before?.balloon?.polling.found ?? null, switchesPolling }, signal),
      findGuestPorts(qmp, signal),
    ]);
    const base = new BaseMemory({ booted: decodeMemorySizeSummary(summary)?.base ?? null, dimms, at: began });
    return new Machine(qmp, { ...identity, name, base, ports, balloon, plugs, devices, before });
  }

  /**
   * It is looked at on that beat from now on. A look is also one at what is said inside, and at its emulator; both are left with the
   * machine.
   */
  enter(beat: Beat, inside: Inside, emulator: EmulatorMemory): void {
    this.#beat = beat;
    this.#inside = inside;
    this.#emulator = emulator;
    this.renewKept();
  }

  /** Why its QEMU keeps what the guest gives up, as last looked at; null: it does not, or nobody can tell. */
  get kept(): KeptMemory | null {
    return this.#kept;
  }

  /** Looks at that again, where it was not just done: huge pages are taken as the guest runs, and a device may be plugged in. */
  renewKept(): void {
    const { base } = this;
    const size = base === null ? null : bytesToPagesDown(base);
    if (this.#emulator !== null) this.#kept = this.#emulator.kept(size, this.#kept);
  }

  /** What it holds and its host still counts as free; where its QEMU keeps its memory that is not the host's any more. */
  get untouched(): Pages {
    return this.#kept === null ? this.followed.untouched : NO_PAGES;
  }

  /** What of the host's memory its emulator has. */
  get residence(): Residence {
    return this.#emulator ?? residentAs(null);
  }

  /** Looks at that again, where it was not just done. */
  renewUntouched(): void {
    if (this.#emulator?.isOld === true) this.followed.renewUntouched(this.#emulator);
  }

  /** What it keeps under an empty balloon, DIMMs included, as last said; null where this QEMU does not say. */
  get base(): Bytes | null {
    return this.#base.size;
  }

  /** A DIMM may have come or gone: the next look asks. */
  doubtBase(now: Millis): void {
    this.#base.doubt(now);
  }

  get balloon(): Balloon | null {
    return this.#balloon;
  }

  /** Memory can be plugged into these. */
  get plugs(): readonly MachinePlug[] {
    return this.#plugs;
  }

  /** How long after the look before it the last one began; null: there were no two yet. */
  get lookGap(): Millis | null {
    return this.#lookGap;
  }

  #noteLook(now: Millis): void {
    this.#lookGap = this.#lookedAt === null ? null : millis(now - this.#lookedAt);
    this.#lookedAt = now;
    this.#balloon?.polling.mend();
  }

  /** Whoever is inside says what is true now, and is asked at the look itself where he must be. */
  #followPolling(polling: StatsPolling): void {
    if (this.#isTold || this.#balloon?.polling !== polling) polling.rest();
    else if (this.#beat !== null) polling.follow(this.#beat);
  }

  /** `now` is when it begins. Rejects with `QmpError` when QEMU does not answer within the connection's own time limit. */
  async look(now: Millis): Promise<Look> {
    this.#noteLook(now);
    const inside = this.#inside?.look() ?? Promise.resolve(NOTHING_SAID);
    const balloon = this.#balloon;
    if (balloon === null) return await this.#lookWithoutBalloon(now, inside);
    const property = { path: balloon.path, property: 'guest-stats' };
    const plugs = this.#plugs;
    const [actual, stats, devices, said] = await Promise.all([
      answerOrNull(this.#qmp.execute('query-balloon')),
      answerOrNull(this.#qmp.execute('qom-get', property)),
      this.#readDevicesIfDue(now),
      inside,
    ]);
    const kept = decodeBalloon(actual);
    if (this.#base.isContradicted(kept, now)) await this.#readDevices(now);
    const seen = decodeGuestStats(stats);
    balloon.polling.noteSeen(seen?.lastUpdate ?? null, now);
    this.#isTold = isToldInside(said.sources, now);
    this.#followPolling(balloon.polling);
    const plugged = this.#pluggedIn(plugs, devices);
    return { actual: kept, stats: seen, plugged, hasPlugs: plugs.length > 0, inside: said };
  }

  async #lookWithoutBalloon(now: Millis, inside: Promise<Said>): Promise<Look> {
    const plugs = this.#plugs;
    const [devices, said] = await Promise.all([this.#readDevicesIfDue(now), inside]);
    const plugged = this.#pluggedIn(plugs, devices);
    return { actual: null, stats: null, plugged, hasPlugs: plugs.length > 0, inside: said };
  }

  #pluggedIn(plugs: readonly MachinePlug[], devices: unknown): PlugSizes | null {
    const sizes = sizesOf(plugs, devices);
    if (sizes !== null) this.#plugged = sizes.plugged;
    return sizes;
  }

  /**
   * Without a balloon nothing keeps it from touching all that it has: its driver has let go of everything before the device went. Returns by
   * how much more is untouched than before.
   */
  noteUnballooned(): Pages {
    const { base } = this;
    if (this.#balloon !== null || base === null) return NO_PAGES;
    return this.followed.noteMayTouch(addPages(bytesToPagesDown(base), this.#plugged), this.residence);
  }

  #readDevicesIfDue(now: Millis): Promise<unknown> | null {
    return this.#plugs.length > 0 || this.#base.isDue(now) ? this.#readDevices(now) : null;
  }

  /** What `query-memory-devices` says; `now` is when the look began. */
  async #readDevices(now: Millis): Promise<unknown> {
    const unplugged = this.#unplugged;
    const answer = await answerOrNull(this.#qmp.execute('query-memory-devices'));
    this.#base.note(answer, now);
    this.#followBase();
    if (hasOthers(answer, this.#plugs)) await this.#findPlugs(answer, unplugged);
    return answer;
  }

  /** One was added since it was met: QEMU has no event for that. What was unplugged since the answer was asked for may still be in it. */
  async #findPlugs(answer: unknown, unplugged: number): Promise<void> {
    const { plugs } = await findMemoryDevices(this.#qmp, answer);
    if (this.#unplugged !== unplugged) return;
    this.#plugs = plugs;
    this.plugHistory.noteSeen(seenIn(plugs, answer));
  }

  #followBase(): void {
    const { base } = this;
    this.followed.noteBase(base === null ? null : bytesToPagesDown(base));
  }

  /** Asks the guest to keep `size`. Settles only when it can have no more effect. Rejects with `QmpError`. */
  async resize(size: Bytes): Promise<void> {
    await this.#qmp.execute('balloon', balloonArguments(size), { limit: FOREVER });
  }

  /** What its devices have now. Rejects with `QmpError`. */
  async readPlugs(): Promise<readonly MachinePlugNow[]> {
    const plugs = this.#plugs;
    return seenIn(plugs, await answerOrNull(this.#qmp.execute('query-memory-devices')));
  }

  /** Asks one of its devices to have `size`. Settles only when it can have no more effect. Rejects with `QmpError`. */
  async plug({ path }: Pick<MachinePlug, 'path'>, size: Pages): Promise<void> {
    const value = pagesToBytes(size);
    await this.#qmp.execute('qom-set', { path, property: 'requested-size', value }, { limit: FOREVER });
  }

  /** A device was unplugged. */
  forget(path: string): void {
    this.#unplugged += 1;
    if (this.#balloon?.path === path) {
      this.#balloon.polling.rest();
      this.#balloon = null;
      this.noteUnballooned();
    }
    if (this.#plugs.some((plug) => plug.path === path)) this.#plugs = this.#plugs.filter((plug) => plug.path !== path);
  }

  /** Its guest begins anew, or somebody in it. */
  forgetInside(): void {
    this.#inside?.forget();
  }

  /** Puts back what was changed at the beginning, as far as QEMU still answers, and ends the connection. */
  async leave(signal: AbortSignal): Promise<void> {
    await Promise.all([this.leaveInside(signal), this.#balloon?.polling.putBack(signal)]);
    await this.#qmp.close();
  }

  /** Lets go of those inside and of the emulator's memory alone: the machine's own connection has ended. It may be called again. Never rejects. */
  async leaveInside(limit: AbortSignal): Promise<void> {
    this.#balloon?.polling.rest();
    this.#emulator?.close();
    await this.#inside?.close(limit);
  }
}

export interface Meeting {
  readonly qmp: Qmp;
  readonly socket: string;
  readonly clock: Clock;
  /** The same machine, where only the connection to it was lost; null: it was not met before. */
  readonly metBefore: (identity: Identity) => Machine | null;
  /** Whether its guest is asked for its statistics, whatever was set before. */
  readonly switchesPolling: boolean;
}

/** What a look at the beginning found. */
interface Met extends Identity {
  readonly name: string;
  readonly base: BaseMemory;
  readonly ports: GuestPorts;
  readonly balloon: Balloon | null;
  readonly plugs: readonly MachinePlug[];
  /** What `query-memory-devices` said of those. */
  readonly devices: unknown;
  /** The same machine over a connection before. */
  readonly before: Machine | null;
}

type Asks = Omit<Parameters<typeof StatsPolling.begin>[0], 'path'> & Pick<Meeting, 'switchesPolling'>;

async function meetBalloon({ switchesPolling, ...asks }: Asks, signal: AbortSignal): Promise<Balloon | null> {
  const { qmp } = asks;
  const path = await findBalloon(qmp, signal);
  if (path === null) return null;
  const [deflates, polling] = await Promise.all([
    answerOrNull(qmp.execute('qom-get', { path, property: 'deflate-on-oom' }, { signal })),
    switchesPolling ? StatsPolling.begin({ ...asks, path }, signal) : StatsPolling.leave({ ...asks, path }, signal),
  ]);
  return { path, deflatesOnOom: decodeDeflateOnOom(deflates) ?? false, polling };
}
