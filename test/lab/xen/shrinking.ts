/** A guest on its way to less memory, met there: what a host does about it is what tests look at. */
import type { Dom0 } from '../../../lab/xen/dom0.js';
import type { XenGuest } from '../../../lab/xen/guest.js';

const KIB = 1024;
/** A guest that was under pressure, or silent, is asked for nothing for a while. */
const LIMIT_MS = 300_000;
const PAUSE_TRIES = 5;
/** Half a second apart: longer than a round of the hosts that are tested. */
const ROUND_LOOKS = '1 2 3 4 5 6 7 8';

const targetOf = ({ domain }: XenGuest): string => `/local/domain/${domain}/memory/target`;

export interface Shrinking {
  readonly dom0: Dom0;
  readonly guest: XenGuest;
  /** More than it needs, so that a driver's next round asks it for some of it. */
  readonly givenMib: number;
}

/** Gives the guest that much, and runs a command in dom0 as soon as the daemon has asked for some of it. */
export async function askToShrink({ dom0, guest, givenMib }: Shrinking, then = ':'): Promise<void> {
  const isAsked = `[ "$(xenstore-read ${targetOf(guest)})" -lt ${givenMib * KIB} ]`;
  await dom0.run(`xl mem-set ${guest.name} ${givenMib} && until ${isAsked}; do :; done && ${then}`, LIMIT_MS);
}

/**
 * Stops the guest while it has more than it was asked to keep. It may have given that before it was stopped; what it said last is believed for
 * another round, which then asks it for more.
 */
export async function pauseOnItsWay(shrinking: Shrinking): Promise<void> {
  const { dom0, guest } = shrinking;
  for (let tries = 0; tries < PAUSE_TRIES; tries += 1) {
    await askToShrink(shrinking, `xl pause ${guest.name}`);
    const held = await guest.heldKib();
    const isOnItsWay = `[ "$(xenstore-read ${targetOf(guest)})" -lt ${held - KIB} ]`;
    const looked = await dom0.tryRun(`for look in ${ROUND_LOOKS}; do ${isOnItsWay} && exit; sleep 0.5; done; exit 1`);
    if (looked.code === 0) return;
    await dom0.run(`xl unpause ${guest.name}`);
  }
  throw new Error(`${guest.name} was never met on its way in ${PAUSE_TRIES} tries`);
}
