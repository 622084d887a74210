/** Names of guests made fit for logs, tables and paths. It does not know where a name comes from. */
import type { GuestId } from '../control/reading.js';

/** As long as a guest's id may be. */
const ID_LENGTH_MAX = 255;

/**
 * `name` with `_` for every character that would break a log line, a table or a path, cut so that the id of a guest of this
 * `kind` is not too long. Empty only where `name` is.
 */
export const cleanGuestName = (kind: string, name: string): string =>
  name.replace(/[^\w.:-]/g, '_').slice(0, roomIn(kind));

/** The id of the guest called `name`, which is clean already. */
export const guestIdOf = (kind: string, name: string): GuestId => `${kind}/${name}`;

/** A guest's name, and what tells it from all others of that name at any time; neither needs to be clean. */
export interface MarkedName {
  readonly kind: string;
  readonly name: string;
  readonly mark: string;
}

/** The id of a guest by its name and its mark. Of the name as much is kept as the mark leaves room for. */
export function markedGuestId({ kind, name, mark }: MarkedName): GuestId {
  const room = Math.max(0, roomIn(kind) - mark.length - 1);
  return guestIdOf(kind, cleanGuestName(kind, `${name.slice(0, room)}:${mark}`));
}

/** The id of a guest by its name, and by its mark only where another has that id. */
export function distinctGuestId(marked: MarkedName, isTaken: (id: GuestId) => boolean): GuestId {
  const id = guestIdOf(marked.kind, cleanGuestName(marked.kind, marked.name));
  return isTaken(id) ? markedGuestId(marked) : id;
}

/** What an id has for a guest's name, after its kind and the slash. */
const roomIn = (kind: string): number => ID_LENGTH_MAX - kind.length - 1;
