/**
 * When a person is told that nobody knows what a host has free, and so no guest of it gets more memory: once when it begins, and
 * once when it has been over for a while. It does not know how a host is looked at, nor what is promised on it.
 */
import { millis, type Millis } from '../units.js';
import type { Tell } from './actions.js';
import type { HostReading, PoolId } from './pool.js';

/** A host of which it was told that what it has free is not known. */
export interface UnseenHost {
  /** When it was told. */
  readonly since: Millis;
  /** When it was last so. */
  readonly lastAt: Millis;
}

/** Hosts of which nobody knows what they have free, by pool. */
export type UnseenHosts = Readonly<Record<PoolId, UnseenHost>>;

/** What is remembered from now on, and what is to be told; null = nothing. */
export interface UnseenNews {
  readonly hosts: UnseenHosts;
  readonly tell: Tell | null;
}

/** Looks that are too slow now and then are one trouble, and not a new one each time: it is over after six rounds without any. */
const CALM_FOR = millis(30_000);
/**
 * A look is given up after 5 s. A host that was seen since then was seen by the very look that failed for one of its guests, and
 * that is the guest's trouble alone.
 */
const SEEN_WITHIN = millis(6_000);

/** A look at the host has come, and was believed as far as it can be. */
export function afterHostReading(before: UnseenHosts, host: HostReading, now: Millis): UnseenNews {
  const { pool, free, ifSlow } = host;
  if (free.known) return seen(before, pool, now);
  const why = `what the host has free is not known (${free.reason}: ${free.detail})`;
  return unseen(before, pool, now, [why, NO_GROWTH, ...(ifSlow === undefined ? [] : [ifSlow])]);
}

/** A look at one of the host's guests has failed. `host` is the host as it was last seen, if it ever was. */
export function afterFailedLook(
  before: UnseenHosts,
  failed: { readonly pool: PoolId; readonly host: HostReading | undefined; readonly message: string },
  now: Millis,
): UnseenNews {
  const { pool, host, message } = failed;
  if (host !== undefined && now - host.at <= SEEN_WITHIN) return { hosts: before, tell: null };
  const seenAt = host === undefined ? 'it was never seen' : `it was last seen ${secondsText(now - host.at)} ago`;
  const why = `what the host has free is not known: ${seenAt}, and could not be looked at`;
  return unseen(before, pool, now, [why, NO_GROWTH, `The look failed: ${message}`]);
}

const NO_GROWTH = 'No guest gets more memory until it is';

function unseen(before: UnseenHosts, pool: PoolId, now: Millis, sentences: readonly string[]): UnseenNews {
  const known = find(before, pool);
  const hosts = { ...before, [pool]: { since: known?.since ?? now, lastAt: now } };
  const text = `${pool}: ${sentences.join('. ')}`;
  return { hosts, tell: known === undefined ? tellOf('warning', 'host-unseen', text) : null };
}

function seen(before: UnseenHosts, pool: PoolId, now: Millis): UnseenNews {
  const known = find(before, pool);
  if (known === undefined || now - known.lastAt < CALM_FOR) return { hosts: before, tell: null };
  const hosts = Object.fromEntries(Object.entries(before).filter(([name]) => name !== pool));
  const length = secondsText(known.lastAt - known.since);
  const text = `${pool}: what the host has free is known again, and guests can get more memory; it was not, or not always, for ${length}`;
  return { hosts, tell: tellOf('info', 'host-seen-again', text) };
}

/** Names come from outside; one that every object has is no host. */
const find = (hosts: UnseenHosts, pool: PoolId): UnseenHost | undefined =>
  Object.hasOwn(hosts, pool) ? hosts[pool] : undefined;

const secondsText = (length: number): string => `${Math.max(1, Math.round(length / 1_000))} s`;

const tellOf = (level: Tell['level'], code: Tell['code'], text: string): Tell => ({
  kind: 'tell',
  level,
  code,
  guest: null,
  text,
});
