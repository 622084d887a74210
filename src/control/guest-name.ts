/** Names of guests made fit for logs, tables and paths. It does not know where a name comes from. */
import type { GuestId } from './reading.js';

/** As long as a guest's id may be. */
const ID_LENGTH_MAX = 255;

/**
 * `name` with `_` for every character that would break a log line, a table or a path, cut so that the id of a guest of this
 * `kind` is not too long. Empty only where `name` is.
 */
export const cleanGuestName = (kind: string, name: string): string =>
  name.replace(/[^\w.:-]/g, '_').slice(0, ID_LENGTH_MAX - kind.length - 1);

/** The id of the guest called `name`, which is clean already. */
export const guestIdOf = (kind: string, name: string): GuestId => `${kind}/${name}`;
