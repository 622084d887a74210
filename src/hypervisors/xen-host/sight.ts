/** What can be seen of a host and its domains from dom0, and the port for those who can see it. It decides nothing. */
import type { KiB } from '../../units.js';

export interface DomainSight {
  readonly domid: number;
  /** What the domain really holds. */
  readonly held: KiB;
  /** The most that Xen lets it hold now; null = no limit that means anything. */
  readonly maximum: KiB | null;
  /** It is being taken down: whoever still sees it should not. */
  readonly isDying: boolean;
}

export interface HostSight {
  readonly total: KiB;
  /** What no domain holds. */
  readonly free: KiB;
  readonly domains: readonly DomainSight[];
}

/** Somebody who can see a host's memory. */
export interface SightSource {
  /** For people: through what it looks. */
  readonly description: string;
  /** For people: what can be done when looks take too long. */
  readonly ifSlow: string;
  /** Looks once. Rejects with `HypervisorError`; when `signal` is aborted first, with `ETIMEDOUT`. */
  look(signal: AbortSignal): Promise<HostSight>;
  close(): Promise<void>;
}

/** More than any machine has (2^52 bytes, in KiB): Xen says so of domains that have no limit. */
export const NO_LIMIT_KIB = 2 ** 42;
