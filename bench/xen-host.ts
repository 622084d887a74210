/**
 * What the Xen host adapter costs for one guest: this process's CPU time, with xenstored in another process and the host's memory
 * seen by nobody. Time is virtual, so that the adapter's pauses cost nothing.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once, setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { GuestId } from '../src/control/reading.js';
import type { Hypervisor } from '../src/control/ports.js';
import { openXenHost } from '../src/hypervisors/xen-host/client.js';
import type { SightSource } from '../src/hypervisors/xen-host/sight.js';
import { VirtualClock } from '../src/sim/index.js';
import { addMillis, guestSize, kib, millis, NO_PAGES, pages } from '../src/units.js';
import { connectUnixSocket, openXenstore } from '../src/xenstore/index.js';
import { median, type BenchRow } from './row.js';

const GUESTS = 200;
const ROUNDS = 40;
const WARM_ROUNDS = 20;
const SETTLE_MS = 50;
const NEVER = new AbortController().signal;
setMaxListeners(0, NEVER);
const STORE = fileURLToPath(new URL('xen-host-store.js', import.meta.url));

/** Two rows: one report heard, and one reading with one target. */
export async function benchXenHost(): Promise<readonly BenchRow[]> {
  const store = fork(STORE, [`${GUESTS}`]);
  const [socket] = (await once(store, 'message')) as [string];
  const clock = new VirtualClock();
  const host = openXenHost({
    clock,
    connect: async (signal) => openXenstore({ transport: await connectUnixSocket(socket, signal), clock }),
    sight,
    limits: null,
    reserve: NO_PAGES,
    dom0: { isDriven: false, floor: NO_PAGES, root: '/', alarms: null },
    tell: (message) => {
      throw new Error(message);
    },
  });
  try {
    const guests = await guestsOf(host);
    await letPass(clock);
    const reports = await costs(clock, () => hear(store));
    const rounds = await costs(clock, () => readAndSet(host, guests));
    return [
      { name: `xen-host, ${GUESTS} guests: one report heard`, unit: 'µs', value: reports, goal: null },
      { name: `xen-host, ${GUESTS} guests: one reading and one target`, unit: 'µs', value: rounds, goal: null },
    ];
  } finally {
    await host.close();
    store.send('end');
    await once(store, 'exit');
  }
}

const sight: SightSource = {
  description: 'nothing',
  ifSlow: 'Measure nothing else meanwhile',
  look: () =>
    Promise.resolve({
      total: kib(GUESTS * 1_048_576),
      free: kib(GUESTS * 262_144),
      domains: Array.from({ length: GUESTS }, (_, n) => ({
        domid: n + 1,
        held: kib(524_288),
        maximum: kib(1_048_576),
        isDying: false,
      })),
    }),
  close: () => Promise.resolve(),
};

async function guestsOf(host: Hypervisor): Promise<readonly GuestId[]> {
  const guests: GuestId[] = [];
  for await (const notice of host.watchGuests(NEVER)) {
    if (notice.kind === 'guest-came') guests.push(notice.guest.id);
    if (guests.length === GUESTS) break;
  }
  return guests;
}

/** What is on its way arrives, and the adapter's pauses end. Waiting for it takes no CPU time. */
async function letPass(clock: VirtualClock): Promise<void> {
  await sleep(SETTLE_MS);
  await clock.advanceTo(addMillis(clock.now(), millis(1_000)));
}

/** Microseconds of CPU time for one guest, the median of the rounds. */
async function costs(clock: VirtualClock, round: () => Promise<void>): Promise<number> {
  const times: number[] = [];
  for (let count = 0; count < WARM_ROUNDS + ROUNDS; count += 1) {
    const before = process.cpuUsage();
    await round();
    await letPass(clock);
    const { user, system } = process.cpuUsage(before);
    if (count >= WARM_ROUNDS) times.push((user + system) / GUESTS);
  }
  return median(times);
}

async function hear(store: ChildProcess): Promise<void> {
  const read = once(store, 'message');
  store.send('report');
  await read;
}

async function readAndSet(host: Hypervisor, guests: readonly GuestId[]): Promise<void> {
  await host.read(guests, () => undefined, NEVER);
  await Promise.all(guests.map((guest, n) => host.setTarget(guest, guestSize(pages(100_000 + n)), NEVER)));
}
