/**
 * When a daemon may end: one that is told to while it still gets to know the guests, as just after its start, goes on with that for a
 * short time first. What a daemon before it took from them could not be given back otherwise. It decides nothing about any guest.
 */
import { isOurs } from '../../control/guest-give-back.js';
import { heldBy, mostFor, type GuestState } from '../../control/guest-state.js';
import type { Loop } from '../../runtime/loop.js';
import { addMillis, millis } from '../../units.js';
import { endedOrAborted } from '../../waiting/abort.js';
import type { Place } from './place.js';

/** As long it goes on. A QEMU says who it is in milliseconds; one that has said nothing by then is not there for us. */
export const MEETING_MAX = millis(3_000);
/** As long after its start a guest may be about to speak whom nobody has heard yet. QEMU asks guests for statistics once a second. */
const SPEAKING_WITHIN = millis(3_000);
const LOOK_AGAIN = millis(100);
/** All are known where so many looks in a row say so: who has just come is not in the loop's state yet. */
const SURE = 2;
/** The loop's own turn, and those in which a notice gets to it. */
const TURNS = 3;

type Met = Pick<Loop<unknown>, 'run' | 'state'>;

/** Runs until `signal` is aborted and all guests are known, or cannot be within `MEETING_MAX`. Rejects as the loop does. */
export async function runUntilMet(
  loop: Met,
  { clock, hypervisors }: Pick<Place, 'clock' | 'hypervisors'>,
  signal: AbortSignal,
): Promise<void> {
  const speakingUntil = addMillis(clock.now(), SPEAKING_WITHIN);
  const ending = new AbortController();
  const running = loop.run(ending.signal);
  try {
    await endedOrAborted(running, signal);
    // Who was met in this moment is in the loop's state after these.
    for (let turn = 0; turn < TURNS; turn += 1) await clock.gather();
    const until = addMillis(clock.now(), MEETING_MAX);
    const areKnown = (): boolean =>
      hypervisors.every(({ isMeeting }) => isMeeting !== true) &&
      loop.state.guests.list.every((state) => isKnown(state, clock.now() < speakingUntil));
    for (let sure = areKnown() ? SURE : 0; sure < SURE && clock.now() < until;) {
      await clock.sleepUntil(addMillis(clock.now(), LOOK_AGAIN), ending.signal);
      sure = areKnown() ? sure + 1 : 0;
    }
  } finally {
    ending.abort();
  }
  await running;
}

/** Whether it is known what can be given back to it; or cannot be, for now. */
function isKnown(state: GuestState<unknown>, mayBeAboutToSpeak: boolean): boolean {
  if (!state.isDriven || state.readFailure !== null) return true;
  const held = heldBy(state);
  if (held === null || !mayBeAboutToSpeak) return held !== null;
  const most = mostFor(state);
  return most !== null && (held >= most || isOurs(state));
}
