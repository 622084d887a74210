/**
 * One burst: waits until the guest is small and quiet, demands much at once, and notes what came of it. Each has a daemon of its own, for
 * one that has seen an alarm takes nothing from its guest for a while, and longer each time.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { GuestClock } from '../../lab/qemu/guest-clock.js';
import type { LabGuest } from '../../lab/qemu/lab-guest.js';
import type { Load } from '../../lab/qemu/load.js';
import type { RandomStream } from '../../src/sim/random.js';
import { errorText } from '../../src/errors.js';
import type { Burst } from './figures.js';
import { MEMORY_MIB, type Place } from './guest.js';
import { BurstHost, type Asked } from './host.js';
import type { Setting } from './settings.js';

/** 60 % of the guest's maximum. */
export const DEMAND_MIB = Math.ceil(MEMORY_MIB * 0.6);
/** A guest is small when at least so much of the demand is missing in it. */
const MISSING_LEAST_MIB = DEMAND_MIB / 3;
/** It has been so for this long before anything begins. */
const SMALL_FOR_MS = 1_500;
/** As near as a balloon comes to what was asked of it. */
const NEAR_MIB = 2;
const SETTLE_LIMIT_MS = 180_000;
const SETTLE_PAUSE_MS = 250;
/** A rule that follows a guest's ups and downs asks for less: so much more is an answer to a burst. */
const GROWTH_LEAST_MIB = 16;
const ANSWER_PAUSE_MS = 20;
/** For the answer after the demand has ended one way or the other, besides three rounds. */
const ANSWER_LIMIT_MS = 10_000;
/** Any waiting at all is a stall; the kernel's count is looked at so often. */
const STALL_WATCH = { everyMs: 5, stallMs: 1 };
/** Without any stall before a burst begins. */
const STILL_MS = 500;

export interface Trial {
  readonly guest: LabGuest;
  readonly place: Place;
  readonly folder: string;
  readonly setting: Setting;
  readonly random: RandomStream;
}

/** One burst from its beginning to its end. Throws when the guest does not get small, or the daemon ends. */
export async function runBurst({ guest, place, folder, setting, random }: Trial): Promise<Burst> {
  const host = await BurstHost.start(folder, place, setting);
  const failure = host.failure();
  failure.catch(() => undefined);
  try {
    const burst = async (): Promise<Burst> => {
      const availableMib = await untilSmall(guest, host);
      // At any moment of a round, and not where the guest happened to be small.
      await sleep(random.between(0, setting.intervalMs));
      return { ...(await demand(guest, host, setting)), availableMib };
    };
    return await Promise.race([burst(), failure]);
  } finally {
    guest.load.endWatch();
    await host.close();
  }
}

/** Resolves with what is available then, in MiB. */
async function untilSmall(guest: LabGuest, host: BurstHost): Promise<number> {
  const end = performance.now() + SETTLE_LIMIT_MS;
  for (let since: number | null = null; ;) {
    const available = (await guest.load.look()).kib('MemAvailable') / 1_024;
    const isSmall = available <= DEMAND_MIB - MISSING_LEAST_MIB && (await isWhereAsked(host));
    const now = performance.now();
    since = isSmall ? (since ?? now) : null;
    if (since !== null && now - since >= SMALL_FOR_MS) return available;
    if (now > end) throw new Error(`the guest was not small in time: ${Math.round(available)} MiB are available in it`);
    await sleep(SETTLE_PAUSE_MS);
  }
}

async function isWhereAsked(host: BurstHost): Promise<boolean> {
  const asked = host.asked.at(-1);
  const held = await host.heldMib();
  return asked !== undefined && held !== null && Math.abs(held - asked.mib) <= NEAR_MIB;
}

type Demanded = Omit<Burst, 'availableMib'>;

async function demand(guest: LabGuest, host: BurstHost, setting: Setting): Promise<Demanded> {
  const before = (await guest.load.look()).count('oom_kill');
  const smallMib = host.asked.at(-1)?.mib ?? Number.NaN;
  const clock = await guest.load.clock();
  const stalls: number[] = [];
  await untilStill(guest, (since) => stalls.push(clock.toHostMs(since)));
  const load = await guest.load.anonymous(DEMAND_MIB);
  const beganMs = hostMs(clock, await load.until('began'));
  const held = await heldAt(load, clock);
  const command = await answerTo(host, { beganMs, smallMib, limitMs: 3 * setting.intervalMs + ANSWER_LIMIT_MS });
  const alarm = host.alarmAfter(beganMs);
  await load.release();
  const kills = (await guest.load.look()).count('oom_kill') - before;
  const after = (atMs: number): number => Math.max(0, atMs - beganMs);
  const [stall] = stalls;
  return {
    stallAt: stall === undefined ? null : after(stall),
    told: alarm === null ? null : { at: after(alarm.atMs), cause: alarm.cause },
    commandAt: command === null ? null : after(command.atMs),
    heldAt: held === null ? null : after(held),
    kills,
    uncertaintyMs: clock.uncertaintyMs,
  };
}

const hostMs = (clock: GuestClock, { at }: { readonly at: number }): number => clock.toHostMs(at);

/** Watches from now on for stalls, once nobody has waited for a while; what `onStall` is told is the guest's time. */
async function untilStill(guest: LabGuest, onStall: (since: number) => void): Promise<void> {
  for (let isStill = false; !isStill;) {
    isStill = true;
    guest.load.watchStalls(STALL_WATCH, () => (isStill = false));
    await sleep(STILL_MS);
  }
  guest.load.watchStalls(STALL_WATCH, ({ since }) => {
    if (since !== undefined) onStall(since);
  });
}

/** When the load had all of it, by this process's clock; null when it was killed. */
async function heldAt(load: Load, clock: GuestClock): Promise<number | null> {
  try {
    return hostMs(clock, await load.until('holds'));
  } catch (error) {
    if (load.reports.some(({ kind }) => kind === 'killed')) return null;
    throw new Error(`the burst did not end: ${errorText(error)}`, { cause: error });
  }
}

interface Question {
  readonly beganMs: number;
  readonly smallMib: number;
  readonly limitMs: number;
}

/** The first command since `beganMs` that lets the guest grow; null when none has come after `limitMs` from now. */
async function answerTo(host: BurstHost, { beganMs, smallMib, limitMs }: Question): Promise<Asked | null> {
  const end = performance.now() + limitMs;
  for (;;) {
    const found = host.asked.find(({ atMs, mib }) => atMs >= beganMs && mib >= smallMib + GROWTH_LEAST_MIB);
    if (found !== undefined) return found;
    if (performance.now() > end) return null;
    await sleep(ANSWER_PAUSE_MS);
  }
}
