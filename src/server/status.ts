/**
 * What `GET /v1/status` answers: the read model's snapshot with the units in the names. Memory is counted in pages of 4 KiB,
 * times in milliseconds of the daemon's clock; null is "not known".
 */
import type { GrowthSignals, Pressure, Reading } from '../control/reading.js';
import type { Reason } from '../control/reason.js';
import { knownValue, type Signal } from '../control/signal.js';
import type { Tunables } from '../control/tunables.js';
import { SelfballoonError } from '../errors.js';
import type { Pages } from '../units.js';
import type { GuestPhase, GuestRow, HostRow, Snapshot } from '../runtime/read-model.js';

export interface StatusReading {
  /** When the look was finished. */
  readonly atMs: number;
  readonly totalPages: number | null;
  readonly freePages: number | null;
  readonly availablePages: number | null;
  readonly cachedPages: number | null;
  readonly committedPages: number | null;
  readonly reservePages: number | null;
  readonly swapTotalPages: number | null;
  readonly swapUsedPages: number | null;
  readonly overflowUsedPages: number | null;
  /** These three are counted since the guest's boot. */
  readonly refaultsCount: number | null;
  readonly majorFaultsCount: number | null;
  readonly oomKillsCount: number | null;
  readonly pressure: Pressure | null;
  /** Beyond its boot memory: what it has plugged in, what it was last asked to have, and the most that can be. */
  readonly pluggedPages: number | null;
  readonly plugAskedPages: number | null;
  readonly pluggablePages: number | null;
  /** What of it its kernel does not bring online; null = it cannot grow, or nobody can tell yet. */
  readonly offlinePages: number | null;
  /** For each signal that the source has and that is not known now, why. */
  readonly unknown: Readonly<Record<string, string>>;
  /** Why the newest thing that the guest said of itself was not understood; null = it was, or it says nothing of itself. */
  readonly refusal: string | null;
}

export interface StatusGuest {
  readonly id: string;
  readonly name: string;
  readonly isSimulated: boolean;
  readonly isDriven: boolean;
  readonly phase: GuestPhase;
  readonly currentPages: number | null;
  readonly maximumPages: number | null;
  readonly goalPages: number | null;
  readonly targetPages: number | null;
  readonly growthFailures: GuestRow['growthFailures'];
  readonly reason: Reason | null;
  readonly why: string;
  readonly reading: StatusReading | null;
}

export interface Status {
  readonly version: number;
  readonly atMs: number;
  readonly isDryRun: boolean;
  readonly sources: readonly string[];
  readonly hasFrontswap: boolean;
  readonly tunables: Tunables;
  readonly hosts: readonly HostRow[];
  readonly guests: readonly StatusGuest[];
}

/** A snapshot as it goes over the wire. */
export function statusOf(snapshot: Snapshot): Status {
  const { version, at, isDryRun, sources, hasFrontswap, tunables, hosts, guests } = snapshot;
  return { version, atMs: at, isDryRun, sources, hasFrontswap, tunables, hosts, guests: guests.map(guestOf) };
}

function guestOf({ reading, ...row }: GuestRow): StatusGuest {
  return { ...row, reading: reading === null ? null : readingOf(reading) };
}

function readingOf(reading: Reading): StatusReading {
  return {
    atMs: reading.at,
    totalPages: knownValue(reading.total),
    freePages: knownValue(reading.free),
    availablePages: knownValue(reading.available),
    cachedPages: knownValue(reading.cached),
    committedPages: knownValue(reading.committed),
    reservePages: knownValue(reading.reserve),
    swapTotalPages: knownValue(reading.swapTotal),
    swapUsedPages: knownValue(reading.swapUsed),
    overflowUsedPages: knownValue(reading.overflowUsed),
    refaultsCount: knownValue(reading.refaults),
    majorFaultsCount: knownValue(reading.majorFaults),
    oomKillsCount: knownValue(reading.oomKills),
    pressure: knownValue(reading.pressure),
    pluggedPages: knownValue(reading.growth?.plugged),
    plugAskedPages: knownValue(reading.growth?.asked),
    pluggablePages: knownValue(reading.growth?.pluggable),
    offlinePages: offlineIn(reading.growth),
    unknown: unknownIn(reading),
    refusal: reading.refusal ?? null,
  };
}

/** Nothing is said of it where all is online. */
function offlineIn(growth: GrowthSignals | undefined): number | null {
  if (growth?.plugged.known !== true) return null;
  return growth.offline === undefined ? 0 : knownValue(growth.offline);
}

function unknownIn({ growth, ...reading }: Reading): Readonly<Record<string, string>> {
  const unknown: [string, string][] = [];
  const beyond = growth === undefined ? {} : nameGrowth(growth);
  const entries: readonly (readonly [string, number | string | Signal<unknown>])[] = Object.entries({
    ...reading,
    ...beyond,
  });
  for (const [name, signal] of entries) {
    if (typeof signal !== 'object') continue;
    if (!signal.known && signal.reason !== 'not-reported') unknown.push([name, `${signal.reason}: ${signal.detail}`]);
  }
  return Object.fromEntries(unknown);
}

const nameGrowth = ({
  plugged,
  asked,
  pluggable,
  offline,
}: GrowthSignals): Readonly<Record<string, Signal<Pages>>> => ({
  plugged,
  plugAsked: asked,
  pluggable,
  ...(offline === undefined ? {} : { offline }),
});

/** Decodes the body of `GET /v1/status`. Throws `SelfballoonError` `EIO` when it is not one. */
export function decodeStatus(body: string): Status {
  try {
    const decoded: unknown = JSON.parse(body);
    if (isStatus(decoded)) return decoded;
  } catch (error) {
    throw notStatus(error);
  }
  throw notStatus();
}

/** The daemon is trusted with the rest: it wrote it. This is for another program that answers on the socket. */
const isStatus = (decoded: unknown): decoded is Status =>
  typeof decoded === 'object' &&
  decoded !== null &&
  'version' in decoded &&
  typeof decoded.version === 'number' &&
  'tunables' in decoded &&
  typeof decoded.tunables === 'object' &&
  'hosts' in decoded &&
  Array.isArray(decoded.hosts) &&
  'guests' in decoded &&
  Array.isArray(decoded.guests);

const notStatus = (cause?: unknown): SelfballoonError =>
  new SelfballoonError({
    code: 'EIO',
    message: 'what answers on the socket is not a selfballoon daemon, or not one of this version',
    advice: 'Check the socket path, and restart the daemon after an update',
    cause,
  });
