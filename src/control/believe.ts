/**
 * What of a reading can be believed: nothing that is old, and nothing that cannot be true. *Unknown may grow, may not shrink.*
 */
import { maxMillis, millis, type Millis, type Pages } from '../units.js';
import type { HostReading } from './pool.js';
import { NOTHING_KNOWN, type Reading, type Signals } from './reading.js';
import { refuseStale, unknown, type Signal } from './signal.js';

/** More memory than any machine has (2^52 bytes): what a guest says beyond this is a mistake or a lie. */
const PAGES_BELIEVABLE = 2 ** 40;

/**
 * What the kernel sets when memory is added or a sysctl is written, and not when memory is used. `/proc/zoneinfo`, where it stands, is
 * large, so that some sources look at it once a minute: it is believed for so long, and for half of that again where one is late.
 */
const SLOW_SIGNALS: ReadonlySet<string> = new Set(['reserve', 'maxPfn']);
const SLOW_AGE_MAX = millis(90_000);

/** The signals that are page counts, and so can be checked against what a machine can hold. */
const PAGE_SIGNALS = [
  'current',
  'asked',
  'maximum',
  'total',
  'free',
  'available',
  'cached',
  'committed',
  'reserve',
  'maxPfn',
  'used',
  'swapTotal',
  'swapUsed',
  'overflowUsed',
] as const;

/**
 * The reading with everything taken out that is too old or cannot be true. It is from a guest, who may be hostile: what is
 * left is still only a hint, and can hurt nobody but that guest.
 */
export function believable(reading: Reading, now: Millis, ageMax: Millis): Reading {
  const believed = isFresh(reading, now, ageMax) ? reading : withoutUnbelievable(reading, now, ageMax);
  const sound = withSoundGrowth(believed, now, ageMax);
  const contradiction = contradictionIn(sound);
  if (contradiction === null) return withSoundMaximum(sound);
  const { at, current, asked, maximum, refusal, growth } = withSoundMaximum(sound);
  // Whoever contradicts himself has reported all the same.
  const left = { ...NOTHING_KNOWN, at, current, asked, maximum, total: contradiction, committed: contradiction };
  const whole = growth === undefined ? left : { ...left, growth };
  return refusal === undefined ? whole : { ...whole, refusal };
}

/** Whether nothing needs taking out: nearly always, so this is written out, without looking signals up by name. */
function isFresh(reading: Reading, now: Millis, ageMax: Millis): boolean {
  const isSoundSince = (signal: Signal<Pages>, oldest: number): boolean =>
    !signal.known || (signal.at >= oldest && signal.at <= now && isPageCount(signal.value));
  const isSound = (signal: Signal<Pages>): boolean => isSoundSince(signal, now - ageMax);
  const slowest = now - maxMillis(ageMax, SLOW_AGE_MAX);
  return (
    isSound(reading.current) &&
    isSound(reading.asked) &&
    isSound(reading.maximum) &&
    isSound(reading.total) &&
    isSound(reading.free) &&
    isSound(reading.available) &&
    isSound(reading.cached) &&
    isSound(reading.committed) &&
    isSoundSince(reading.reserve, slowest) &&
    isSoundSince(reading.maxPfn, slowest) &&
    isSound(reading.used) &&
    isSound(reading.swapTotal) &&
    isSound(reading.swapUsed) &&
    isSound(reading.overflowUsed)
  );
}

/** Whether any machine could have so many pages. */
export const isPageCount = (value: number): boolean =>
  Number.isSafeInteger(value) && value >= 0 && value <= PAGES_BELIEVABLE;

function withoutUnbelievable(reading: Reading, now: Millis, ageMax: Millis): Reading {
  const checked: Partial<Record<(typeof PAGE_SIGNALS)[number], Signal<Pages>>> = {};
  const slowAgeMax = maxMillis(ageMax, SLOW_AGE_MAX);
  for (const name of PAGE_SIGNALS)
    checked[name] = believableSignal(reading[name], now, SLOW_SIGNALS.has(name) ? slowAgeMax : ageMax);
  return { ...reading, ...checked };
}

/** What is plugged in is a part of what the guest holds, and what can be is a part of its maximum. */
function withSoundGrowth(reading: Reading, now: Millis, ageMax: Millis): Reading {
  const { growth, current, maximum } = reading;
  if (growth === undefined) return reading;
  const sound = (signal: Signal<Pages>): Signal<Pages> => believableSignal(signal, now, ageMax);
  const plugged = partOf(current, sound(growth.plugged), 'plugged in');
  const sizes = {
    plugged,
    asked: sound(growth.asked),
    pluggable: partOf(maximum, sound(growth.pluggable), 'that can be plugged in'),
  };
  if (growth.offline === undefined) return { ...reading, growth: sizes };
  return { ...reading, growth: { ...sizes, offline: partOf(plugged, sound(growth.offline), 'offline') } };
}

function partOf(whole: Signal<Pages>, part: Signal<Pages>, what: string): Signal<Pages> {
  if (!whole.known || !part.known || part.value <= whole.value) return part;
  return unknown('implausible', `${part.value} pages ${what} of ${whole.value} in all`);
}

/** A guest that holds more than its maximum has another maximum than it says. */
function withSoundMaximum(reading: Reading): Reading {
  const { maximum, current } = reading;
  if (!maximum.known || !current.known || maximum.value >= current.value) return reading;
  const detail = `a maximum of ${maximum.value} pages, below the ${current.value} that it holds`;
  return { ...reading, maximum: unknown('implausible', detail) };
}

function believableSignal(signal: Signal<Pages>, now: Millis, ageMax: Millis): Signal<Pages> {
  if (!signal.known) return signal;
  if (!isPageCount(signal.value)) {
    return unknown('implausible', `${signal.value} pages is more than any machine has`);
  }
  return refuseStale(signal, now, ageMax);
}

function contradictionIn({ total, free, available, current }: Signals): Signal<Pages> | null {
  if (!total.known) return null;
  if (total.value === 0) return unknown('implausible', 'a guest without any RAM');
  if (free.known && free.value > total.value) {
    return unknown('implausible', `${free.value} pages free of ${total.value} in all`);
  }
  if (available.known && available.value > total.value) {
    return unknown('implausible', `${available.value} pages available of ${total.value} in all`);
  }
  if (current.known && current.value === 0)
    return unknown('implausible', 'the balloon driver says that the guest holds 0');
  return null;
}

/** The host's reading with everything taken out that is too old or cannot be true. */
export function believableHost(host: HostReading, now: Millis, ageMax: Millis): HostReading {
  const free = believableSignal(host.free, now, ageMax);
  const total = believableSignal(host.total, now, ageMax);
  const isContradicted = free.known && total.known && free.value > total.value;
  return { ...host, total, free: isContradicted ? unknown('implausible', 'a host with more free than it has') : free };
}
