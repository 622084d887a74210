/** Two guests on one host, alike but for one thing, and the daemon that drives both: what is told of the one must not touch the other. */
import { join } from 'node:path';
import type { LibvirtGuest } from '../../../lab/libvirt/guest.js';
import type { QemuGuest } from '../../../lab/qemu/guest.js';
import type { LabGuest } from '../../../lab/qemu/lab-guest.js';
import { WireTap } from '../../../lab/qemu/wire-tap.js';
import { PAGES_PER_MIB } from '../../../src/units.js';
import { Host, type ShownGuest } from './host.js';
import { libvirtSuite, qemuSuite, type Beginning, type LabSuite } from './suite.js';

const MEMORY_MIB = 512;
/** The driver stops a page or so from its target. */
export const NEAR_PAGES = 4;
const SWAP_MIB = 128;
/** Used once and free again before anything is taken, so that the emulator holds it. */
const TOUCHED_MIB = 300;

export const PLAIN = 'plain';
/** Tells its host of pages that it does not use. */
export const REPORTING = 'reporting';

export interface Pair extends LabSuite {
  readonly names: readonly [string, string];
  readonly guest: (name: string) => LabGuest;
  readonly host: () => Host;
  /** What the daemon calls a guest. */
  readonly id: (name: string) => string;
  /** Resolves when the guest agent of `PLAIN`, which says far too much, is not listened to any more. */
  readonly untilFloodIsSeen: () => Promise<unknown>;
}

/** Behind monitors. */
export interface MonitorPair extends Pair {
  readonly monitor: (name: string) => string;
  /** Between the daemon and the monitor of `PLAIN`. */
  readonly tap: () => WireTap;
  /** Takes the monitor of `PLAIN` away from the daemon, its socket with it; and gives it back. */
  readonly closeTap: () => Promise<void>;
  readonly openTap: () => Promise<void>;
}

/** It was told to go to its floor, and is there but for a page or so. */
export const isAtFloor = ({ reason, currentPages, targetPages }: ShownGuest): boolean =>
  reason?.code === 'at-floor' && Math.abs((currentPages ?? NaN) - (targetPages ?? NaN)) <= NEAR_PAGES;

const GUEST = { mayReboot: true, memoryMib: MEMORY_MIB, swapMib: SWAP_MIB, hasGuestAgent: true, hasOwnPort: true };
/** As the product has it. */
const HOST = { downHysteresis: 8 };

/** Boots both, and has them use and free memory. */
async function bootBoth<Guest extends LabGuest>({ boot }: Beginning<Guest>): Promise<readonly [Guest, Guest]> {
  const make = async (name: string): Promise<Guest> => {
    const guest = await boot({ ...GUEST, name, reportsFreePages: name === REPORTING });
    const touched = await guest.load.anonymous(TOUCHED_MIB);
    await touched.until('holds');
    await touched.release();
    return guest;
  };
  return Promise.all([make(PLAIN), make(REPORTING)]);
}

interface Made<Guest extends LabGuest> {
  readonly guests: readonly Guest[];
  readonly host: Host;
}

const accessTo = <Guest extends LabGuest>(
  made: () => Made<Guest> | null,
): { readonly guest: (name: string) => Guest; readonly host: () => Host } => ({
  guest: (name) => made()?.guests.find((one) => one.name === name) ?? tooEarly(name),
  host: () => made()?.host ?? tooEarly('their host'),
});

function tooEarly(what: string): never {
  throw new Error(`${what} is not there; it is made before the tests of its suite`);
}

/** To be called in the describe block of all that the two share. */
export function monitorPair(): MonitorPair {
  let made: (Made<QemuGuest> & { readonly openTap: () => Promise<WireTap>; tap: WireTap }) | null = null;
  const suite = qemuSuite(async (beginning) => {
    const guests = await bootBoth(beginning);
    const [plain, reporting] = guests;
    const tapPath = join(beginning.folder, 'plain.tap');
    const openTap = (): Promise<WireTap> => WireTap.open({ listen: tapPath, target: plain.monitor });
    const tap = await openTap();
    const host = beginning.own(new Host([tapPath, reporting.monitor], HOST));
    made = { guests, host, openTap, tap };
    beginning.atEnd(() => tapped().tap.close());
  });
  const tapped = (): NonNullable<typeof made> => made ?? tooEarly('the pair');
  const { guest, host } = accessTo(() => made);
  return {
    ...suite,
    ...{ names: [PLAIN, REPORTING], guest, host },
    id: (name) => `qmp/${name}`,
    untilFloodIsSeen: () => host().untilLogged(/the guest agent of qmp\/plain is lost: .*more than/),
    monitor: (name) => guest(name).monitor,
    tap: () => tapped().tap,
    closeTap: () => tapped().tap.close(),
    openTap: async () => {
      tapped().tap = await tapped().openTap();
    },
  };
}

/** The same as domains of a libvirt. */
export function domainPair(): Pair {
  let made: Made<LibvirtGuest> | null = null;
  const suite = libvirtSuite(async (beginning) => {
    const guests = await bootBoth(beginning);
    made = { guests, host: beginning.hostOf(guests, HOST) };
  });
  const { guest, host } = accessTo(() => made);
  return {
    ...suite,
    ...{ names: [PLAIN, REPORTING], guest, host },
    id: (name) => `libvirt/${name}`,
    // libvirt has a limit of its own, and says no more than that the agent is not connected.
    untilFloodIsSeen: () =>
      host().until(PLAIN, 'a guest of which nobody tells', ({ reason }) => reason?.code === 'signal-unknown'),
  };
}

/** Promised to a process and not used: the rule makes room for it. */
export const COMMIT_MIB = 250;
/** Both rest on some 160. */
const SMALL_MIB = 200;

/** What it holds, in pages; NaN while that is not known. */
export const held = (shown: ShownGuest | null): number => shown?.currentPages ?? NaN;

/** `REPORTING` gets what it needs, and gives it back: it goes on being driven. Throws when either does not come about. */
export async function otherGoesOn({ guest, host }: Pair): Promise<void> {
  const need = await guest(REPORTING).load.commit(COMMIT_MIB);
  await need.until('holds');
  await host().until(REPORTING, 'the other large', (one) => held(one) >= COMMIT_MIB * PAGES_PER_MIB);
  await need.release();
  await host().until(REPORTING, 'the other small', (one) => held(one) < SMALL_MIB * PAGES_PER_MIB);
}
