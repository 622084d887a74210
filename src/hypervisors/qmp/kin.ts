/** What a person is told of a machine that is another one's second monitor, or has another one's name. */
import type { GuestId } from '../../control/reading.js';

export const secondMonitor = (path: string, driven: GuestId): string =>
  `${path} is a second monitor of ${driven}, which is driven already: it is left alone`;

export const sameName = (path: string, id: GuestId): string =>
  `another machine has the name of the one at ${path}, and is ${id}: this one is called by its socket; limits by a name are for both`;
