/** What the guest is called: its host name, or else its Xen UUID. */
import { cleanGuestName, guestIdOf } from '../../adapter/guest-name.js';
import type { GuestId } from '../../control/reading.js';
import { readOnce } from '../../signals/read-once.js';

export const KIND = 'xen-guest';

/** The guest's name for people, from files under `root`. Never empty. */
export function guestName(root: string): string {
  const hostname = readOnce(root, 'proc/sys/kernel/hostname');
  const isSet = hostname !== null && hostname !== '' && hostname !== '(none)';
  return cleanName(isSet ? hostname : (readOnce(root, 'sys/hypervisor/uuid') ?? ''));
}

/** The id of the guest called `name`. */
export const guestId = (name: string): GuestId => guestIdOf(KIND, name);

/** A name that breaks nothing. Never empty. */
export function cleanName(name: string): string {
  const clean = cleanGuestName(KIND, name);
  return clean === '' ? 'unnamed' : clean;
}
