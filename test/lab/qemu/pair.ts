/** Two guests on one host, alike but for one thing, and the daemon that drives both: what is told of the one must not touch the other. */
import { join } from 'node:path';
import type { QemuGuest } from '../../../lab/qemu/guest.js';
import { WireTap } from '../../../lab/qemu/wire-tap.js';
import { Host, type ShownGuest } from './host.js';
import { qemuSuite, type QemuSuite } from './suite.js';

const MEMORY_MIB = 512;
/** The driver stops a page or so from its target. */
const NEAR_PAGES = 4;
const SWAP_MIB = 128;
/** Used once and free again before anything is taken, so that the emulator holds it. */
const TOUCHED_MIB = 300;

export const PLAIN = 'plain';
/** Tells its host of pages that it does not use. */
export const REPORTING = 'reporting';

export interface Pair extends QemuSuite {
  readonly names: readonly [string, string];
  readonly guest: (name: string) => QemuGuest;
  readonly host: () => Host;
  /** Between the daemon and the monitor of `PLAIN`. */
  readonly tap: () => WireTap;
  /** Takes the monitor of `PLAIN` away from the daemon, its socket with it; and gives it back. */
  readonly closeTap: () => Promise<void>;
  readonly openTap: () => Promise<void>;
}

/** It was told to go to its floor, and is there but for a page or so. */
export const isAtFloor = ({ reason, currentPages, targetPages }: ShownGuest): boolean =>
  reason?.code === 'at-floor' && Math.abs((currentPages ?? NaN) - (targetPages ?? NaN)) <= NEAR_PAGES;

/** To be called in the describe block of all that the two share. */
export function guestPair(): Pair {
  const guests = new Map<string, QemuGuest>();
  let made: { readonly host: Host; readonly openTap: () => Promise<WireTap>; tap: WireTap } | null = null;
  const suite = qemuSuite(async ({ folder, boot, atEnd }) => {
    const both = { memoryMib: MEMORY_MIB, swapMib: SWAP_MIB, hasGuestAgent: true, hasOwnPort: true };
    await Promise.all(
      [PLAIN, REPORTING].map(async (name) => {
        const guest = await boot({ ...both, name, reportsFreePages: name === REPORTING });
        guests.set(name, guest);
        const touched = await guest.load.anonymous(TOUCHED_MIB);
        await touched.until('holds');
        await touched.release();
      }),
    );
    const [tapPath, plain, reporting] = [join(folder, 'plain.tap'), guests.get(PLAIN), guests.get(REPORTING)];
    if (plain === undefined || reporting === undefined) throw new Error('the guests were not booted');
    const openTap = (): Promise<WireTap> => WireTap.open({ listen: tapPath, target: plain.monitor });
    const tap = await openTap();
    atEnd(() => there().tap.close());
    const host = new Host([tapPath, reporting.monitor], { downHysteresis: 8 });
    atEnd(() => host.close());
    made = { host, openTap, tap };
  });
  const there = (): NonNullable<typeof made> => {
    if (made === null) throw new Error('the guests are not there; they are booted before the tests of their suite');
    return made;
  };
  return {
    ...suite,
    names: [PLAIN, REPORTING],
    guest: (name) => guests.get(name) ?? fail(name),
    host: () => there().host,
    tap: () => there().tap,
    closeTap: () => there().tap.close(),
    openTap: async () => {
      there().tap = await there().openTap();
    },
  };
}

function fail(name: string): never {
  throw new Error(`the guest ${name} is not there; it is booted before the tests of its suite`);
}

/** Promised to a process and not used: the rule makes room for it. */
export const COMMIT_MIB = 250;
/** Both rest on some 160. */
const SMALL_MIB = 200;
const PAGES_PER_MIB = 256;

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
