/** A host with QEMUs that are made up, each on a real unix socket; the sockets that are found are the test's choice. */
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { GuestNotice, Hypervisor, ReadOutcome } from '../../../../src/control/ports.js';
import type { GuestId, Reading } from '../../../../src/control/reading.js';
import { openQmpHost } from '../../../../src/hypervisors/qmp/client.js';
import { connectQmp } from '../../../../src/qmp/index.js';
import { VirtualClock } from '../../../../src/sim/index.js';
import { addMillis, mib, mibToPages, millis } from '../../../../src/units.js';
import { FakeQemu } from '../../../qmp/support/fake-qemu.js';
import { until } from '../../../qmp/support/opened.js';
import { temporaryFolder } from '../../../signals/proc-roots.js';
import { fixture } from '../../../support/paths.js';

export const MIB = 2 ** 20;
/** The time of day when the test begins; QEMU's times are of it. */
const WALL_START = 1_800_000_000_000;
const NEVER = new AbortController().signal;

export class Rig {
  readonly clock = new VirtualClock();
  readonly qemus: FakeQemu[] = [];
  /** The paths that are there for whoever looks. */
  readonly sockets: string[] = [];
  readonly notices: GuestNotice[] = [];
  readonly told: string[] = [];
  /** Whose the monitors are, by their paths; those that are not here are this process's. */
  readonly pids = new Map<string, number>();
  readonly host: Hypervisor;
  readonly #watching = new AbortController();
  #folder: string | null = null;

  constructor({ asksAgent = true, hearsOwn = true, root = fixture('xen-guest'), switchesPolling = true } = {}) {
    this.host = openQmpHost({
      clock: this.clock,
      wall: () => millis(WALL_START + this.clock.now()),
      findSockets: () => Promise.resolve([...this.sockets]),
      connect: async (path, events, signal) => {
        const qmp = await connectQmp(path, { clock: this.clock, events }, signal);
        const pid = this.pids.get(path);
        return pid === undefined ? qmp : Object.assign(qmp, { peerPid: () => pid });
      },
      root,
      reserve: mibToPages(mib(64)),
      inside: { asksAgent, hearsOwn },
      switchesPolling,
      tell: (message) => this.told.push(message),
    });
  }

  /** The time of day in whole seconds, as QEMU gives it. */
  get seconds(): number {
    return Math.floor((WALL_START + this.clock.now()) / 1_000);
  }

  async addQemu(test: TestContext, name: string | undefined): Promise<FakeQemu> {
    // Machines of one name are called by the order of their sockets.
    this.#folder ??= temporaryFolder(test);
    const qemu = new FakeQemu(join(this.#folder, `${this.qemus.length}.qmp`));
    await qemu.listen();
    test.after(() => qemu.stop());
    qemu.machine.name = name;
    qemu.machine.deflateOnOom = true;
    this.qemus.push(qemu);
    this.sockets.push(qemu.path);
    return qemu;
  }

  watch(): void {
    void (async () => {
      for await (const notice of this.host.watchGuests(this.#watching.signal)) this.notices.push(notice);
    })();
  }

  stopWatching(): void {
    this.#watching.abort();
  }

  /** Lets time pass, and everybody do what is theirs meanwhile. */
  async pass(length: number): Promise<void> {
    await this.clock.advanceTo(addMillis(this.clock.now(), millis(length)));
  }

  /** Lets time pass until so many machines have come. */
  async untilCame(count: number): Promise<void> {
    await this.untilNotice(`${count} machines came`, ({ kind }) => kind === 'guest-came', count);
  }

  async untilNotice(what: string, isIt: (notice: GuestNotice) => boolean, count = 1): Promise<void> {
    await until(what, () => this.notices.filter(isIt).length >= count);
  }

  async look(guests: readonly GuestId[], signal: AbortSignal = NEVER): Promise<readonly ReadOutcome[]> {
    const outcomes: ReadOutcome[] = [];
    await this.host.read(guests, (outcome) => outcomes.push(outcome), signal);
    return outcomes;
  }

  async reading(guest: GuestId): Promise<Reading> {
    const found = (await this.look([guest])).find(({ kind }) => kind === 'reading');
    if (found?.kind !== 'reading') throw new Error(`${guest} was not read`);
    return found.reading;
  }
}

/** A host with these machines, all of them known. It is closed after the test. */
export async function openRig(test: TestContext, ...names: readonly (string | undefined)[]): Promise<Rig> {
  const rig = new Rig();
  test.after(() => rig.host.close());
  for (const name of names) await rig.addQemu(test, name);
  rig.watch();
  await rig.untilCame(names.length);
  return rig;
}
