/**
 * The virtual machines of a host whose QEMUs listen on monitors of their own: seen through what QEMU and the guests' balloon drivers
 * say, driven through their balloons. Does the I/O; what answers mean is the codec's, decisions are control's.
 */
import { endedOrAborted, unlessAborted } from '../../waiting/abort.js';
import { Lanes } from '../../waiting/lanes.js';
import { NoticeQueue } from '../../adapter/notices.js';
import { askDevices, describeRequests } from '../../adapter/plug-spread.js';
import {
  asHypervisorError,
  growthSuperseded,
  impossibleGrowth,
  impossibleTarget,
  noOverflow,
  superseded,
  unknownGrowth,
} from '../../adapter/port-errors.js';
import {
  CALL_TIME_LIMIT,
  type Clock,
  type GuestNotice,
  type Hypervisor,
  type ReadOutcome,
} from '../../control/ports.js';
import type { GuestId, Reading } from '../../control/reading.js';
import { PortClaims, type InsideChoice } from '../../inside/index.js';
import type { EventListener, Qmp } from '../../qmp/index.js';
import { EmulatorMemory, isEmulator } from '../../signals/emulator-memory.js';
import { openHostMemory, type HostMemory } from '../../signals/host-memory.js';
import {
  bytesToPagesDown,
  NO_PAGES,
  pagesToBytes,
  type Bytes,
  type GuestSize,
  type Millis,
  type Pages,
} from '../../units.js';
import { formatTarget, readingOf, type MachineLook } from './codec.js';
import {
  closed,
  goneMachine,
  growthTooSlow,
  lookTooSlow,
  noBalloon,
  noGrowth,
  stillAsking,
  targetTooSlow,
} from './errors.js';
import { openInside } from './inside.js';
import type { Look, Machine } from './machine.js';
import { seenIn } from './memory-devices.js';
import { KIND } from './names.js';
import { PortTrust } from './port-trust.js';
import { Roster } from './roster.js';

export interface QmpHostOptions {
  readonly clock: Clock;
  /** The time of day, which QEMU's times are of. */
  readonly wall: () => Millis;
  /** The monitors' sockets that are there now. Must not throw. */
  readonly findSockets: () => Promise<readonly string[]>;
  readonly connect: (path: string, events: EventListener, signal: AbortSignal) => Promise<Qmp>;
  /** The folder that has the host's `proc` in it: `/`, unless someone tests. */
  readonly root: string;
  /** What must stay free on the host. */
  readonly reserve: Pages;
  /** Who is listened to in the guests. */
  readonly inside: InsideChoice;
  /**
   * Whether guests are asked for their statistics each second, and what was set before is put back in the end. Otherwise they are used as
   * far as somebody else has QEMU ask for them. Default true.
   */
  readonly switchesPolling?: boolean;
  /** Told what a person should know of: connections lost and found. */
  readonly tell: (message: string) => void;
}

/** Opens the host. Nothing is asked of anybody before `watchGuests` is called. */
export function openQmpHost(options: QmpHostOptions): Hypervisor {
  return new QmpHost(options);
}

class QmpHost implements Hypervisor {
  readonly kind = KIND;
  readonly description = 'the virtual machines of this host, through their QEMU monitors (QMP)';
  readonly #options: QmpHostOptions;
  readonly #notices = new NoticeQueue();
  readonly #roster: Roster;
  readonly #memory: HostMemory;
  readonly #targets = new Lanes(superseded);
  readonly #growths = new Lanes(growthSuperseded);
  readonly #ending = new AbortController();
  #keeping: Promise<void> | null = null;

  constructor(options: QmpHostOptions) {
    this.#options = options;
    const { clock, findSockets, connect, inside, tell, root, reserve, switchesPolling = true } = options;
    this.#memory = openHostMemory({ root, pool: KIND, reserve, now: () => clock.now() });
    const trust = new PortTrust(new PortClaims(), (pid) => isEmulator(root, pid));
    this.#roster = new Roster({
      clock,
      findSockets,
      connect,
      switchesPolling,
      tell,
      openInside: (of) => openInside({ ...of, ...inside, clock, trust }),
      openEmulator: (pid) => new EmulatorMemory({ root, pid, now: () => clock.now() }),
      put: (notice) => {
        this.#notices.put(notice);
      },
    });
  }

  /** Ends when `signal` is aborted or the port is closed. May be called once at a time. */
  async *watchGuests(signal: AbortSignal): AsyncGenerator<GuestNotice> {
    const ends = [signal, this.#ending.signal];
    if (!ends.some(({ aborted }) => aborted)) this.#keeping ??= this.#roster.keep(this.#ending.signal);
    yield* this.#notices.watch(this.#roster.guests, ends);
  }

  async read(guests: readonly GuestId[], report: (outcome: ReadOutcome) => void, signal: AbortSignal): Promise<void> {
    if (this.#ending.signal.aborted) throw closed();
    this.#roster.renewUntouched();
    report({ kind: 'host-reading', host: this.#memory.read(this.#roster.untouched) });
    const open = new Set(guests);
    const tell = (outcome: Outcome): void => {
      if (open.delete(outcome.guest)) report(outcome);
    };
    const looks = guests.map(async (guest) => {
      tell(await this.#readOne(guest, report));
    });
    await endedOrAborted(Promise.all(looks), signal);
    for (const guest of open) tell({ kind: 'reading-failed', guest, error: lookTooSlow(guest) });
  }

  /** Ends when QEMU has answered, or has had its time to. Never rejects. */
  async #readOne(guest: GuestId, report: (outcome: ReadOutcome) => void): Promise<Outcome> {
    const machine = this.#roster.find(guest);
    if (machine === null) return { kind: 'reading-failed', guest, error: goneMachine(guest) };
    try {
      const began = this.#options.clock.now();
      const look = await machine.look(began);
      this.#roster.tellNews(guest);
      return { kind: 'reading', guest, reading: this.#readingOf(machine, { look, began, report }) };
    } catch (error) {
      return { kind: 'reading-failed', guest, error: asHypervisorError(error, { doing: 'looking at it', guest }) };
    }
  }

  #readingOf(machine: Machine, { look, began, report }: Looked): Reading {
    const { clock, wall } = this.#options;
    const { actual, stats, inside, plugged, hasPlugs } = look;
    const { base, balloon, residence, followed } = machine;
    const { asked } = followed;
    const deflatesOnOom = balloon?.deflatesOnOom ?? false;
    // What was answered before its balloon went says nothing of what it may touch now.
    const said = actual === null || balloon === null ? null : bytesToPagesDown(actual);
    const tellHost = (): void => {
      report({ kind: 'host-reading', host: this.#memory.read(this.#roster.untouched) });
    };
    if (machine.noteUnballooned() > 0) tellHost();
    const sight = { said, asked, plugged: plugged?.plugged ?? NO_PAGES, at: began, residence };
    return followed.read(sight, {
      onMoreUntouched: tellHost,
      makeReading: ({ keeps, before }) => {
        const kept = keeps === null ? null : pagesToBytes(keeps);
        const seen: MachineLook = { actual: kept, stats, inside, base, deflatesOnOom, asked, before };
        return readingOf(hasPlugs ? { ...seen, plugged } : seen, { at: clock.now(), wall: wall() });
      },
    });
  }

  async setTarget(guest: GuestId, target: GuestSize, signal: AbortSignal): Promise<void> {
    const machine = this.#roster.find(guest);
    if (machine === null) throw goneMachine(guest);
    if (machine.balloon === null) throw noBalloon(guest);
    const size = formatTarget(machine.followed.askFor(target));
    if (size === null) throw impossibleTarget(guest, target, 'bytes');
    const work = this.#targets.run(guest, () => this.#ask(guest, { machine, target, size, signal }));
    await unlessAborted(work, signal, () => targetTooSlow(guest, target));
  }

  async #ask(guest: GuestId, { machine, target, size, signal }: Asked): Promise<void> {
    // Whoever has given up while it waited may have asked for something else since.
    if (signal.aborted) throw targetTooSlow(guest, target);
    try {
      await machine.resize(size);
      machine.followed.noteAsked(target);
    } catch (error) {
      throw asHypervisorError(error, { doing: `asking for ${size} bytes`, guest });
    }
  }

  async setGrowth(guest: GuestId, plugged: Pages, signal: AbortSignal): Promise<void> {
    const machine = this.#roster.find(guest);
    if (machine === null) throw goneMachine(guest);
    if (machine.plugs.length === 0) throw noGrowth(guest);
    const work = this.#growths.run(guest, () => this.#plug(guest, { machine, plugged, signal }));
    await unlessAborted(work, signal, () => growthTooSlow(guest, plugged));
  }

  /** Settles only when none of it can have an effect any more. */
  async #plug(guest: GuestId, { machine, plugged, signal }: Growing): Promise<void> {
    if (signal.aborted) throw growthTooSlow(guest, plugged);
    let doing = 'looking at what is plugged in';
    try {
      const { plugs } = machine;
      const seen = plugs.length > 1 ? await machine.readPlugs() : seenIn(plugs, null);
      const requests = machine.plugHistory.plan(seen, plugged);
      if (requests === null) throw impossibleGrowth(guest, plugged, 'unplugged');
      if (requests === 'unknown') throw unknownGrowth(guest);
      doing = `asking to have ${describeRequests(requests, pagesToBytes)} bytes plugged in`;
      await askDevices(requests, ({ device, size }) => machine.plug(device, size), signal);
    } catch (error) {
      throw asHypervisorError(error, { doing, guest });
    }
  }

  unreached(): readonly string[] {
    return this.#roster.unreached;
  }

  get isMeeting(): boolean {
    return this.#roster.isMeeting;
  }

  shrinkOverflow(guest: GuestId): Promise<string> {
    return Promise.reject(noOverflow(guest, 'its host'));
  }

  /**
   * Waits up to 5 s for requests on their way, puts back the polling of statistics and lets go of everything. Targets stay as they
   * are. Rejects with `ETIMEDOUT` when a request does not end: then nobody knows which target it leaves.
   */
  async close(): Promise<void> {
    const { clock } = this.#options;
    try {
      const settled = Promise.all([this.#targets.settled(), this.#growths.settled()]);
      const isBusy = this.#targets.isBusy || this.#growths.isBusy;
      if (isBusy) await unlessAborted(settled, clock.timeLimit(CALL_TIME_LIMIT), stillAsking);
    } finally {
      this.#ending.abort();
      await this.#keeping;
      this.#memory.close();
    }
  }
}

/** What a look at a guest brings. */
type Outcome = Exclude<ReadOutcome, { kind: 'host-reading' }>;

/** A look that has ended. */
interface Looked {
  readonly look: Look;
  readonly began: Millis;
  readonly report: (outcome: ReadOutcome) => void;
}

interface Asked {
  readonly machine: Machine;
  readonly target: GuestSize;
  /** The same, as QEMU takes it. */
  readonly size: Bytes;
  readonly signal: AbortSignal;
}

interface Growing {
  readonly machine: Machine;
  readonly plugged: Pages;
  readonly signal: AbortSignal;
}
