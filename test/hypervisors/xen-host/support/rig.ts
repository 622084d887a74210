/** The xen-host adapter over a fake xenstored on a real socket, a fake Xen, and virtual time. Closed after the test. */
import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import type { TestContext } from 'node:test';
import type { GuestNotice, Hypervisor, ReadOutcome } from '../../../../src/control/ports.js';
import type { HostReading } from '../../../../src/control/pool.js';
import type { Reading } from '../../../../src/control/reading.js';
import { openXenHost, type XenHostOptions } from '../../../../src/hypervisors/xen-host/client.js';
import { VirtualClock } from '../../../../src/sim/index.js';
import { guestSize, mib, mibToPages, millis, pages, type Millis } from '../../../../src/units.js';
import { openXenstore } from '../../../../src/xenstore/client.js';
import { connectUnixSocket } from '../../../../src/xenstore/unix-socket.js';
import { FakeXenstored } from '../../../xenstore/support/fake-xenstored.js';
import { until } from '../../../xenstore/support/opened.js';
import { fixture } from '../../../support/paths.js';
import { FakeXen } from './fake-xen.js';

export const NEVER: AbortSignal = new AbortController().signal;
setMaxListeners(0, NEVER);
export const RESERVE = mibToPages(mib(64));
/** Turns of the event loop in which nothing happens, after which nothing more will without time or somebody moving on. */
const QUIET_TURNS = 12;
/** As the connection itself has it. */
const LIMIT = millis(5_000);

export interface RigOptions {
  readonly host?: Partial<XenHostOptions>;
  /** Begin to watch at once, and keep what is told. Default true. */
  readonly isWatched?: boolean;
  /** The time limit of calls to xenstored without a signal. */
  readonly limit?: Millis;
}

export class Rig {
  readonly clock = new VirtualClock();
  readonly told: string[] = [];
  readonly notices: GuestNotice[] = [];
  readonly xen: FakeXen;
  readonly host: Hypervisor;
  /** Nobody can connect. */
  isDown = false;
  readonly #watching = new AbortController();

  constructor(
    readonly store: FakeXenstored,
    { host = {}, limit = LIMIT }: RigOptions,
  ) {
    this.xen = new FakeXen(store);
    this.host = openXenHost({
      clock: this.clock,
      connect: async (signal) =>
        openXenstore({
          transport: await connectUnixSocket(this.isDown ? `${store.path}-gone` : store.path, signal),
          clock: this.clock,
          limit,
        }),
      sight: this.xen,
      limits: this.xen.limits,
      reserve: RESERVE,
      dom0: { isDriven: false, floor: mibToPages(mib(512)), root: fixture('xen-guest'), alarms: null },
      tell: (message) => void this.told.push(message),
      ...host,
    });
  }

  /** Sets everything up; `prepare` creates the domains that are there at the start. */
  static async open(test: TestContext, prepare: (xen: FakeXen) => void, options: RigOptions = {}): Promise<Rig> {
    const store = await FakeXenstored.start(test);
    // dom0 has no quota.
    Object.assign(store.world, { watchesMax: Infinity, transactionsMax: Infinity });
    const rig = new Rig(store, options);
    prepare(rig.xen);
    test.after(() => rig.host.close().catch(() => undefined));
    if (options.isWatched !== false) {
      void rig.watch();
      await rig.settle();
    }
    return rig;
  }

  async watch(): Promise<void> {
    for await (const notice of this.host.watchGuests(this.#watching.signal)) this.notices.push(notice);
  }

  stopWatching(): void {
    this.#watching.abort();
  }

  /** Lets both ends of the socket run until nothing moves. */
  async settle(): Promise<void> {
    let before = -1;
    for (let quiet = 0; quiet < QUIET_TURNS;) {
      await new Promise((resolve) => setImmediate(resolve));
      const now = this.store.requests.length + this.notices.length + this.told.length;
      quiet = now === before ? quiet + 1 : 0;
      before = now;
    }
  }

  /** Time goes on to `at`, and at every timer on the way everybody does what there is to do. */
  async to(at: number): Promise<void> {
    await this.settle();
    for (let next = this.clock.nextTimerAt; next !== null && next <= at; next = this.clock.nextTimerAt) {
      await this.clock.advanceTo(next);
      await this.settle();
    }
    await this.clock.advanceTo(millis(at));
    await this.settle();
  }

  /** Ends the connection from xenstored's side. */
  async cut(): Promise<void> {
    const before = this.told.length;
    this.store.last.socket.destroy();
    await until('the loss is told', () => this.told.length > before);
    await this.settle();
  }

  async look(guests: readonly string[], signal: AbortSignal = NEVER): Promise<readonly ReadOutcome[]> {
    const outcomes: ReadOutcome[] = [];
    await this.host.read(guests, (outcome) => outcomes.push(outcome), signal);
    return outcomes;
  }

  async reading(guest: string): Promise<Reading> {
    const outcome = (await this.look([guest])).find(({ kind }) => kind !== 'host-reading');
    assert.ok(outcome?.kind === 'reading', `${guest} was not read`);
    return outcome.reading;
  }

  async hostReading(): Promise<HostReading> {
    const [outcome] = await this.look([]);
    assert.ok(outcome?.kind === 'host-reading');
    return outcome.host;
  }

  set(guest: string, count: number, signal: AbortSignal = NEVER): Promise<void> {
    return this.host.setTarget(guest, guestSize(pages(count)), signal);
  }

  /** What was told, in short: `came xen-host/one:1`. */
  heard(): readonly string[] {
    return this.notices.map(({ kind, guest }) => {
      return `${kind.slice('guest-'.length)} ${typeof guest === 'string' ? guest : guest.id}`;
    });
  }

  /** How many requests of a kind were about this path so far. */
  countOf(operation: string, path: string): number {
    return this.store.requests.filter(
      (request) => request.operation === operation && request.payload.toString('latin1').split('\0')[0] === path,
    ).length;
  }
}

export const REPORT = 'data/selfballoon/report';
