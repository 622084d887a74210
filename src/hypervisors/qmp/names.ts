/** What QEMU's machines are called, and what a person is told of a second monitor of one, and of one that has another's name. */
import { basename, extname } from 'node:path';
import { cleanGuestName } from '../../adapter/guest-name.js';
import type { GuestId } from '../../control/reading.js';

export const KIND = 'qmp';

/** By QEMU's own name of it, else by its UUID, else by its socket's file. It is clean of nothing. */
export const machineName = (ownName: string | null, uuid: string | null, socket: string): string =>
  ownName ?? uuid ?? basename(socket, extname(socket));

/** The name of the guest in a machine of that name. */
export const guestNameOf = (name: string): string => cleanGuestName(KIND, name);

export const secondMonitor = (path: string, driven: GuestId): string =>
  `${path} is a second monitor of ${driven}, which is driven already: it is left alone`;

export const sameName = (path: string, id: GuestId): string =>
  `another machine has the name of the one at ${path}, and is ${id}: this one is called by its socket; limits by a name are for both`;
