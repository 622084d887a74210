/** What a person is told of a guest whose memory stays with its emulator, whatever it gives up. It does not know how that is seen. */
import type { GuestId } from '../control/reading.js';

/** What to do about it. */
export const KEPT_ADVICE =
  'If it is to be made smaller, start it with ordinary memory: no huge pages, nothing locked, no device passed through. Free page reporting does not change it';

/** `seen`: a clause that says what of it was seen, and where. */
export const keptNews = (guest: GuestId, seen: string): string =>
  `guest ${guest}: ${seen}. What it gives up would be of no use to this host, so nothing of its boot memory is taken, and what was taken before is given back as this host has room. ${KEPT_ADVICE}`;

/** That is over. */
export const keptNoMore = (guest: GuestId): string =>
  `guest ${guest}: its memory is ordinary again, neither of huge pages nor locked or pinned: it is driven as others are`;
