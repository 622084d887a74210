/** What the guest is called: its host name, or else its Xen UUID. */
import type { GuestId } from '../../control/reading.js';
import { readOnce } from './detect.js';

export const KIND = 'xen-guest';

/** A guest's id has at most 255 characters, and this is what the kind and the slash leave of them. */
const NAME_LENGTH_MAX = 255 - KIND.length - 1;

/** The guest's name for people, from files under `root`. Never empty. */
export function guestName(root: string): string {
  const hostname = readOnce(root, 'proc/sys/kernel/hostname');
  const isSet = hostname !== null && hostname !== '' && hostname !== '(none)';
  return cleanName(isSet ? hostname : (readOnce(root, 'sys/hypervisor/uuid') ?? ''));
}

/** The id of the guest called `name`. */
export const guestId = (name: string): GuestId => `${KIND}/${name}`;

/** Without characters that would break a log line or a path, cut to length. Never empty. */
export function cleanName(name: string): string {
  const clean = name.replace(/[^\w.:-]/g, '_').slice(0, NAME_LENGTH_MAX);
  return clean === '' ? 'unnamed' : clean;
}
