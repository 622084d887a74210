/** What a person is told of a guest whose statistics are off and must be left so, as in a dry run. It knows nothing of who asks for them. */
import type { GuestId } from '../control/reading.js';

export const statsStayOff = (guest: GuestId): string =>
  `guest ${guest}: its statistics are off, and are left so: only what agents in it say is known of its use`;
