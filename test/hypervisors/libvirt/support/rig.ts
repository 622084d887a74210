/** A host whose libvirt is made up; whether it can be connected to is the test's choice. */
import type { TestContext } from 'node:test';
import type { GuestNotice, Hypervisor, ReadOutcome } from '../../../../src/control/ports.js';
import type { GuestId, Reading } from '../../../../src/control/reading.js';
import { openLibvirtHost } from '../../../../src/hypervisors/libvirt/client.js';
import { VirtualClock } from '../../../../src/sim/index.js';
import { addMillis, mib, mibToPages, millis } from '../../../../src/units.js';
import { notConnected } from '../../../../src/virsh/errors.js';
import { until } from '../../../qmp/support/opened.js';
import { fixture } from '../../../support/paths.js';
import { FakeLibvirt, type FakeDomain } from '../../../virsh/support/fake-libvirt.js';
import { FakeConnection } from './fake-connection.js';

/** The time of day when the test begins; libvirt's times are of it. */
const WALL_START = 1_800_000_000_000;
const NEVER = new AbortController().signal;

export class Rig {
  readonly clock = new VirtualClock();
  readonly libvirt = new FakeLibvirt();
  readonly notices: GuestNotice[] = [];
  readonly told: string[] = [];
  readonly connections: FakeConnection[] = [];
  /** Whether libvirtd runs. */
  isUp = true;
  readonly host: Hypervisor;
  readonly #watching = new AbortController();

  constructor(
    inside = { asksAgent: true, hearsOwn: true },
    switchesPolling = true,
    readonly root = fixture('xen-guest'),
  ) {
    this.host = openLibvirtHost({
      clock: this.clock,
      wall: () => millis(WALL_START + this.clock.now()),
      uri: 'qemu:///fake',
      connect: (listener) => {
        if (!this.isUp) return Promise.reject(notConnected('qemu:///fake'));
        const connection = new FakeConnection(this.libvirt, this.clock, listener);
        this.connections.push(connection);
        return Promise.resolve(connection);
      },
      root,
      reserve: mibToPages(mib(64)),
      inside,
      switchesPolling,
      tell: (message) => this.told.push(message),
    });
  }

  /** The connection that there is, or that was last. */
  get connection(): FakeConnection {
    const last = this.connections.at(-1);
    if (last === undefined) throw new Error('there was no connection yet');
    return last;
  }

  /** The time of day in whole seconds, as libvirt gives it. */
  get seconds(): number {
    return Math.floor((WALL_START + this.clock.now()) / 1_000);
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

  /** An answer that takes so long, in ms of this clock. */
  async after(length: number, text: string): Promise<string> {
    await this.clock.sleepUntil(addMillis(this.clock.now(), millis(length)), NEVER);
    return text;
  }

  /** What was told of guests, in order: `came libvirt/one`. */
  get log(): readonly string[] {
    return this.notices.map(({ kind, guest }) => `${kind.slice(6)} ${typeof guest === 'string' ? guest : guest.id}`);
  }

  async untilLog(...log: readonly string[]): Promise<void> {
    await until(`the log is ${log.join(', ')}; it is ${this.log.join(', ')}`, () => this.log.join() === log.join());
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

/** A host with domains of these names, all of them known. It is closed after the test. */
export async function openRig(test: TestContext, ...names: readonly string[]): Promise<Rig> {
  const rig = new Rig();
  test.after(() => rig.host.close());
  for (const name of names) rig.libvirt.add(name);
  rig.watch();
  await rig.untilLog(...names.map((name) => `came libvirt/${name}`));
  return rig;
}

/** The domain of that name; it must be there. */
export function domainOf({ libvirt }: Rig, name: string): FakeDomain {
  const found = libvirt.domains.find((domain) => domain.name === name);
  if (found === undefined) throw new Error(`there is no domain ${name}`);
  return found;
}
