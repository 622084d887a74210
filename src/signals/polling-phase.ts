/**
 * When the polling of a guest's statistics should begin anew, so that each look finds what the guest has just said.
 *
 * QEMU asks the guest in whole seconds from the moment at which polling is switched on: what a look finds is then as old as chance has it,
 * up to a second, and every look of one guest finds it as old. Switched off and on again, polling begins with a question at once
 * (`balloon_stats_set_poll_interval` in QEMU's hw/virtio/virtio-balloon.c), and keeps its place in the second from then on, where a guest's
 * looks have theirs, but for what the guest takes to answer each time: 0 to 25 ms in ten seconds were seen of idle guests. It decides nothing
 * about how polling is switched.
 */
import { beatFrom, type Beat } from '../control/beat.js';
import type { Signals } from '../control/reading.js';
import { addMillis, millis, type Millis } from '../units.js';
import { RANK_WORTH } from './merge.js';

/**
 * So long before a look the guest is asked. An emulated guest on a busy processor answered within 1.3 to 9.7 ms of the command; one that
 * is short of memory takes longer, and what comes too late is found by the next look only.
 */
const ASKED_BEFORE = millis(50);
/** What a guest takes to answer adds up: so polling begins anew this often, and sooner where a look found nothing new (`renewal.ts`). */
const ANEW_AFTER = millis(10_000);

/** Whether somebody in the guest says himself what is left in it, so that its statistics are not needed at `now`. */
export const isToldInside = (sources: readonly Partial<Signals>[], now: Millis): boolean =>
  sources.some(({ available }) => available?.known === true && now - available.at <= RANK_WORTH);

/** The next time, from now on, at which a guest that is looked at on that beat should be asked. */
export const askAt = (beat: Beat, now: Millis): Millis =>
  millis(beatFrom(addMillis(now, ASKED_BEFORE), beat) - ASKED_BEFORE);

/** Whether it is still worth while at `now` to ask a guest that was to be asked at `at`: it has to answer before the look. */
export const isInTime = (at: Millis, now: Millis): boolean => now - at <= ASKED_BEFORE / 2;

/** Whether polling that began at `begun` should begin anew at `at`. Null: it has its place by chance. */
export const isDueAnew = (begun: Millis | null, at: Millis): boolean =>
  begun === null || at - begun > ANEW_AFTER - ASKED_BEFORE;
