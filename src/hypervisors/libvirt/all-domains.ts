/**
 * One question for all domains, however many of their QEMUs hang. It finds out which those are and sees to it that the others are answered
 * for; what the answers mean it does not know.
 *
 * The first question that reaches a QEMU which hangs waits for it, and for as long libvirt leaves that domain out of its answers to others
 * (`--nowait`), at once. So where the question for all runs out of time each domain is asked by itself, many at the same time, and then the
 * question for all has its answer again; a QEMU that goes on is in the next one. Each that hangs keeps one of libvirtd's threads, though
 * (`max_workers`, 20), without which nobody is answered any more. Only a few may do so. Others are left out by us: those that the kernel
 * says are stopped, which need not be asked, and what could not be asked for that reason.
 */
import {
  DOMAIN_STATS,
  domainStatsOf,
  LIST_DOMAINS,
  parseDomainList,
  parseDomainStats,
  VirshError,
  type DomainStats,
  type ListedDomain,
  type Virsh,
} from '../../virsh/index.js';
import { endedMeanwhile } from './errors.js';

export interface AllDomainsOptions {
  /** The connection that there is. Throws where there is none. */
  readonly connected: () => Virsh;
  /** The UUIDs of all that are known. */
  readonly known: () => readonly string[];
  /** Those of them whose QEMU is stopped, as far as the kernel says so. */
  readonly stopped: (uuids: readonly string[]) => ReadonlySet<string>;
  /** One that was known is not there any more. */
  readonly onGone: () => void;
}

/** By the domains' names. */
export type AllStats = ReadonlyMap<string, DomainStats>;

/** Half of the threads that libvirtd has; requests to domains that hang wait in others. */
const STUCK_MAX = 10;
/** Leaves some for those of which nobody knows that they hang. */
const STUCK_AND_STOPPED_MAX = 6;
const NEVER = new AbortController().signal;

export class AllDomains {
  readonly #options: AllDomainsOptions;
  /** What is found out is of this connection. */
  #virsh: Virsh | null = null;
  /** Names by UUIDs: they were asked and did not answer, and libvirt leaves them out until they do. */
  readonly #stuck = new Map<string, string>();
  /** UUIDs of those that we leave out. */
  #leftOut = new Set<string>();
  #isAskingAgain = false;

  constructor(options: AllDomainsOptions) {
    this.#options = options;
  }

  /** Whether nothing is said of a domain because it was not asked. */
  isLeftOut(uuid: string): boolean {
    return this.#leftOut.has(uuid);
  }

  /** Takes some seconds where a QEMU has begun to hang. Rejects with `VirshError`, or `HypervisorError`. */
  async look(signal: AbortSignal): Promise<AllStats> {
    const virsh = this.#connected();
    try {
      const stats = await this.#ask(virsh, signal);
      void this.#askAgain(virsh);
      return stats;
    } catch (error) {
      if (!isOf(error, 'ETIMEDOUT') || signal.aborted) throw error;
    }
    await this.#findStuck(virsh, signal);
    return this.#ask(virsh, signal);
  }

  #connected(): Virsh {
    const virsh = this.#options.connected();
    if (virsh !== this.#virsh) {
      this.#stuck.clear();
      this.#leftOut.clear();
    }
    this.#virsh = virsh;
    return virsh;
  }

  async #ask(virsh: Virsh, signal: AbortSignal): Promise<AllStats> {
    const stats = parseDomainStats(await this.#answer(virsh, signal));
    for (const [uuid, name] of this.#stuck) {
      const said = stats.get(name);
      if (said === undefined || said.lastUpdate !== null) this.#stuck.delete(uuid);
    }
    return stats;
  }

  async #answer(virsh: Virsh, signal: AbortSignal): Promise<readonly string[]> {
    const known = this.#options.known();
    for (const uuid of this.#leftOut) if (!known.includes(uuid)) this.#leftOut.delete(uuid);
    if (this.#leftOut.size === 0) return virsh.look(DOMAIN_STATS, signal);
    const asked = known.filter((uuid) => !this.#leftOut.has(uuid));
    // Without a name it would be the question for all.
    if (asked.length === 0) return [];
    try {
      return await virsh.look(domainStatsOf(asked), signal);
    } catch (error) {
      if (!isOf(error, 'EGONE')) throw error;
      this.#options.onGone();
      throw endedMeanwhile();
    }
  }

  /** Those that do not hang are no longer than that without a look. */
  async #findStuck(virsh: Virsh, signal: AbortSignal): Promise<void> {
    // For this libvirtd waits for no domain: where it has no answer either, it is libvirtd that hangs.
    const listed = parseDomainList(await virsh.look(LIST_DOMAINS, signal));
    const others = listed.filter(({ uuid }) => !this.#stuck.has(uuid));
    const uuids = others.map(({ uuid }) => uuid);
    this.#leftOut = new Set(uuids);
    const stopped = this.#options.stopped(uuids);
    await this.#askEach(
      virsh,
      others.filter(({ uuid }) => !stopped.has(uuid)),
      STUCK_MAX,
    );
    await this.#askEach(
      virsh,
      others.filter(({ uuid }) => stopped.has(uuid)),
      STUCK_AND_STOPPED_MAX,
    );
  }

  /** Whoever was left out and may have gone on meanwhile is asked aside. Never rejects. */
  async #askAgain(virsh: Virsh): Promise<void> {
    if (this.#leftOut.size === 0 || this.#isAskingAgain) return;
    this.#isAskingAgain = true;
    const stopped = this.#options.stopped([...this.#leftOut]);
    const others = [...this.#leftOut].filter((uuid) => !stopped.has(uuid)).map((uuid) => ({ uuid, name: '' }));
    await this.#askEach(virsh, others, STUCK_MAX);
    this.#isAskingAgain = false;
  }

  /** By as many at the same time as may yet hang, each of whom ends with the first that does. Never rejects. */
  async #askEach(virsh: Virsh, domains: readonly ListedDomain[], stuckMax: number): Promise<void> {
    const waiting = [...domains];
    const askOneByOne = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        if (!(await this.#isAnswering(virsh, next))) return;
      }
    };
    const places = Math.min(stuckMax - this.#stuck.size, waiting.length);
    await Promise.all(Array.from({ length: Math.max(0, places) }, askOneByOne));
  }

  async #isAnswering(virsh: Virsh, { uuid, name }: ListedDomain): Promise<boolean> {
    let isAnswering = true;
    try {
      await virsh.probe(domainStatsOf([uuid]), NEVER);
    } catch (error) {
      if (isOf(error, 'EUNAVAILABLE')) return false;
      // A refusal is an answer too.
      isAnswering = !isOf(error, 'ETIMEDOUT');
    }
    if (!isAnswering) this.#stuck.set(uuid, name);
    this.#leftOut.delete(uuid);
    return isAnswering;
  }
}

const isOf = (error: unknown, code: VirshError['virshCode']): boolean =>
  error instanceof VirshError && error.virshCode === code;
