/** A guest on its way to less memory, met there: what a host does about it is what tests look at. */
import type { Dom0 } from '../../../lab/xen/dom0.js';
import type { XenGuest } from '../../../lab/xen/guest.js';

const KIB = 1024;
const LIMIT_MS = 60_000;
/** A guest gives a step's memory in less than a second. */
const PAUSE_TRIES = 5;

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

/** Stops the guest while there is more of it than it was asked to keep. */
export async function pauseOnItsWay(shrinking: Shrinking): Promise<void> {
  const { dom0, guest } = shrinking;
  for (let tries = 0; tries < PAUSE_TRIES; tries += 1) {
    await askToShrink(shrinking, `xl pause ${guest.name}`);
    const target = Number(await dom0.run(`xenstore-read ${targetOf(guest)}`));
    if ((await guest.heldKib()) > target + KIB) return;
    // It was quicker.
    await dom0.run(`xl unpause ${guest.name}`);
  }
  throw new Error(`${guest.name} was never met on its way in ${PAUSE_TRIES} tries`);
}
