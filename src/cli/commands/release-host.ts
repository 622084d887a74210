/**
 * Gives memory back to all guests of a host where no daemon runs: after one was killed, or when it is being removed. It takes the
 * daemon's own way out: looks at everybody first, and promises nothing that is not free.
 */
import type { Config } from '../../config/index.js';
import type { GuestDecision } from '../../control/actions.js';
import { isOurs } from '../../control/guest-give-back.js';
import { heldBy, mostFor, type GuestState } from '../../control/guest-state.js';
import type { GuestId } from '../../control/reading.js';
import { createStep, initialState } from '../../control/step.js';
import { hostPolicy, type SelfshrinkMemory } from '../../policies/index.js';
import { Loop } from '../../runtime/loop.js';
import { SelfballoonError } from '../../errors.js';
import { addMillis, millis, NO_PAGES, pagesToMibDown, type Pages } from '../../units.js';
import type { Place } from '../daemon/place.js';

/** Guests are there within this, also on a host that is short of everything, or whoever tells of them has a problem. */
export const LOOK_MAX = millis(30_000);
/** Where nobody that is driven has come within this, nobody is there. */
const NOBODY_MAX = millis(10_000);
/** Whoever waits at a terminal is told then for whom. */
const IMPATIENT = millis(3_000);
/** As long nothing new must have come: then all are known. */
const QUIET = millis(1_500);

/**
 * Returns a sentence that says what was done. `place` is that of a host, and is closed here. Rejects with `SelfballoonError`
 * `ETIMEDOUT` where a guest could not be seen in time, `EUNAVAILABLE` where whoever may be there could not be reached, and `EIO` where a
 * guest could not be told: what was done for the others is in the message.
 */
export async function releaseHost(place: Place, config: Config, print: (text: string) => void): Promise<string> {
  const loop = new Loop<SelfshrinkMemory>({
    step: createStep(hostPolicy),
    policyName: hostPolicy.name,
    state: initialState<SelfshrinkMemory>({
      // Nothing is decided meanwhile: it only looks.
      tunables: { ...place.tunables, selfballooning: 0, selfballoon_interval: 1 },
      isDryRun: config.isDryRun,
      hasFrontswap: false,
      limits: config.guestLimits,
    }),
    clock: place.clock,
    hypervisors: place.hypervisors,
    journal: null,
    tell: ({ level, guest, text }) => {
      if (level === 'warning') print(guest === null ? text : `${guest}: ${text}`);
    },
  });
  try {
    return await lookAndGiveBack(loop, place, print);
  } finally {
    await place.close();
  }
}

async function lookAndGiveBack(
  loop: Loop<SelfshrinkMemory>,
  { clock, hypervisors }: Place,
  print: (text: string) => void,
): Promise<string> {
  const ending = new AbortController();
  const running = loop.run(ending.signal);
  const until = addMillis(clock.now(), LOOK_MAX);
  const nobodyFrom = addMillis(clock.now(), NOBODY_MAX);
  const impatientFrom = addMillis(clock.now(), IMPATIENT);
  let hasSaid = false;
  for (let before = -1; clock.now() < until;) {
    await clock.sleepUntil(addMillis(clock.now(), QUIET), ending.signal);
    const { all, unseen } = drivenIn(loop);
    const isSomebody = all > 0 || clock.now() >= nobodyFrom;
    // One who answers is no sign that all have: a QEMU that is stopped says nothing for some seconds.
    const isMeeting = hypervisors.some((hypervisor) => hypervisor.isMeeting === true);
    if (isSomebody && !isMeeting && unseen.length === 0 && all === before) break;
    before = all;
    if (hasSaid || clock.now() < impatientFrom) continue;
    hasSaid = true;
    print(`waiting for ${unseen.join(', ') || 'guests to be found'}, up to ${LOOK_MAX / 1_000} s`);
  }
  const unreached = hypervisors.flatMap((hypervisor) => hypervisor.unreached?.() ?? []);
  ending.abort();
  await running;
  const unreleased = await loop.giveBack();
  const { list } = loop.state.guests;
  const told = list.filter(({ guest, decision }) => isTold(decision) && !unreleased.includes(guest.id)).length;
  for (const state of list) if (isLeftSmall(state)) print(sayLeftSmall(state));
  const who = told === 1 ? '1 guest was' : `${told} guests were`;
  const done = `no daemon answers; ${who} told to take back what they may have and their host has free`;
  const { unseen } = drivenIn(loop);
  const unhappy = unreleased.filter((guest) => !unseen.includes(guest));
  const also = unhappy.length === 0 ? done : `${done}; ${unhappy.join(', ')} could not be told`;
  if (unseen.length > 0) throw notSeen(unseen, also);
  if (unreached.length > 0) throw notReached(unreached, also);
  if (unhappy.length > 0) throw notTold(unhappy, done);
  return done;
}

/** What has all that it may have is told nothing. */
const isTold = (decision: GuestDecision | null): boolean =>
  decision !== null && decision.reason.code === 'released' && decision.target !== null;

/** Whether it has less than it may have, and nobody knows whether that is a daemon's doing. */
const isLeftSmall = (state: GuestState<unknown>): boolean =>
  state.isDriven && !isOurs(state) && (heldBy(state) ?? Infinity) < (mostFor(state) ?? 0);

const sayLeftSmall = (state: GuestState<unknown>): string =>
  `${state.guest.id}: holds ${mibOf(heldBy(state))} of ${mibOf(mostFor(state))} MiB and was left as it is: nobody in it says anything, and it may be its administrator's choice. Where a daemon had made it smaller, set its size by hand`;

const mibOf = (size: Pages | null): number => pagesToMibDown(size ?? NO_PAGES);

/** Those that something could be given back to, and which of them have not been seen. One without a balloon has nothing of ours. */
function drivenIn({ state }: Loop<SelfshrinkMemory>): { readonly all: number; readonly unseen: readonly GuestId[] } {
  const driven = state.guests.list.filter(({ isDriven }) => isDriven);
  const unseen = driven.filter((guest) => heldBy(guest) === null);
  return { all: driven.length, unseen: unseen.map(({ guest }) => guest.id) };
}

const notTold = (guests: readonly GuestId[], done: string): SelfballoonError =>
  new SelfballoonError({
    code: 'EIO',
    message: `${guests.join(', ')} could not be told to take memory back, or the host has not enough free; ${done}`,
    advice: 'See the lines above for what was answered, and run release again',
  });

const notReached = (unreached: readonly string[], done: string): SelfballoonError =>
  new SelfballoonError({
    code: 'EUNAVAILABLE',
    message: `somebody may be there who could not be reached, and so was given nothing back: ${unreached.join('; ')}; ${done}`,
    advice:
      'Does another daemon hold it? Ask that one with --socket; or see with selfballoon doctor, and run release again',
  });

const notSeen = (unseen: readonly GuestId[], done: string): SelfballoonError =>
  new SelfballoonError({
    code: 'ETIMEDOUT',
    message: `what ${unseen.join(', ')} ${unseen.length === 1 ? 'holds' : 'hold'} could not be seen within ${LOOK_MAX / 1_000} s, so nothing was given back there; ${done}`,
    advice: 'See with selfballoon doctor who does not answer, and run release again',
  });
