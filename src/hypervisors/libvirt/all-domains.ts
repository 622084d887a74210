/**
 * One question for all domains, however many of their QEMUs hang. It finds out which those are and sees to it that the others are answered
 * for; what the answers mean for anybody it does not know.
 *
 * The first question that reaches a QEMU which hangs waits for it, and for as long libvirt leaves that domain out of its answers to others
 * (`--nowait`), at once. So where the question for all runs out of time each domain is asked by itself, many at the same time, and then the
 * question for all has its answer again; a QEMU that goes on is in the next one. Each that hangs keeps one of libvirtd's threads, though
 * (`max_workers`, 20), without which nobody is answered any more. Only a few may do so. Others are left out by us: those that the kernel
 * says do not run, which need not be asked, and what could not be asked for that reason.
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
import type { WhyLeftOut } from './stopped-qemus.js';

export interface AllDomainsOptions {
  /** The connection that there is. Throws where there is none. */
  readonly connected: () => Virsh;
  /** The UUIDs of all that are known. */
  readonly known: () => readonly string[];
  /** Those of them whose QEMU does not run, as far as the kernel says so. */
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
/** Above `STUCK_MAX` one at a time is asked, so that those behind have a turn. What is left is for a look and six requests. */
const STUCK_AT_LAST_MAX = 13;
const NEVER = new AbortController().signal;

export class AllDomains {
  readonly #options: AllDomainsOptions;
  /** What is found out is of this connection. */
  #virsh: Virsh | null = null;
  /** Names of those that libvirt could not ask: a question waits for each, or somebody else is busy with it. */
  readonly #stuck = new Set<string>();
  /** Names by UUIDs of those that we leave out. */
  #leftOut = new Map<string, string>();
  /** UUIDs of those among them that need not be asked. */
  #stopped: ReadonlySet<string> = new Set();
  /** How many are asked by themselves just now, each of which may hang. */
  #asking = 0;
  #isAskingAgain = false;

  constructor(options: AllDomainsOptions) {
    this.#options = options;
  }

  /** Why nothing is said of a domain; null: it was asked. */
  whyLeftOut(uuid: string): WhyLeftOut | null {
    if (!this.#leftOut.has(uuid)) return null;
    return this.#stopped.has(uuid) ? { kind: 'stopped' } : { kind: 'others-hang', hanging: this.#stuck.size };
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
    const before = [...this.#stuck];
    const stats = parseDomainStats(await this.#answer(virsh, signal));
    for (const name of before) this.#stuck.delete(name);
    for (const [name, said] of stats) if (!wasAsked(said)) this.#stuck.add(name);
    return stats;
  }

  async #answer(virsh: Virsh, signal: AbortSignal): Promise<readonly string[]> {
    const known = this.#options.known();
    for (const uuid of this.#leftOut.keys()) if (!known.includes(uuid)) this.#leftOut.delete(uuid);
    if (this.#leftOut.size === 0) return virsh.look(DOMAIN_STATS, signal);
    const asked = known.filter((uuid) => !this.#leftOut.has(uuid));
    // Without a name it would be the question for all.
    if (asked.length === 0) return [];
    try {
      return await virsh.look(domainStatsOf(asked), signal);
    } catch (error) {
      if (!isOf(error, 'EGONE')) throw error;
      this.#options.onGone();
      return this.#answerOfRest(virsh, asked, signal);
    }
  }

  /** One of them has ended, for which all were refused. For the list libvirtd waits for no domain. */
  async #answerOfRest(virsh: Virsh, asked: readonly string[], signal: AbortSignal): Promise<readonly string[]> {
    const listed = new Set(parseDomainList(await virsh.look(LIST_DOMAINS, signal)).map(({ uuid }) => uuid));
    const rest = asked.filter((uuid) => listed.has(uuid));
    if (rest.length === 0) return [];
    try {
      return await virsh.look(domainStatsOf(rest), signal);
    } catch (error) {
      throw isOf(error, 'EGONE') ? endedMeanwhile() : error;
    }
  }

  /** Those that do not hang are no longer than that without a look. */
  async #findStuck(virsh: Virsh, signal: AbortSignal): Promise<void> {
    // For this libvirtd waits for no domain: where it has no answer either, it is libvirtd that hangs.
    const listed = parseDomainList(await virsh.look(LIST_DOMAINS, signal));
    this.#leaveOut(listed.filter(({ name }) => !this.#stuck.has(name)));
    await this.#askEach(virsh, this.#running, this.#stuckMax);
    await this.#askEach(
      virsh,
      this.#domainsLeftOut.filter(({ uuid }) => this.#stopped.has(uuid)),
      STUCK_AND_STOPPED_MAX,
    );
  }

  /** Whoever was left out and may have gone on meanwhile is asked aside. Never rejects. */
  async #askAgain(virsh: Virsh): Promise<void> {
    if (this.#leftOut.size === 0 || this.#isAskingAgain) return;
    this.#isAskingAgain = true;
    this.#leaveOut(this.#domainsLeftOut);
    await this.#askEach(virsh, this.#running, this.#stuckMax);
    this.#isAskingAgain = false;
  }

  #leaveOut(domains: readonly ListedDomain[]): void {
    this.#leftOut = new Map(domains.map(({ uuid, name }) => [uuid, name]));
    this.#stopped = this.#options.stopped([...this.#leftOut.keys()]);
  }

  get #domainsLeftOut(): readonly ListedDomain[] {
    return [...this.#leftOut].map(([uuid, name]) => ({ uuid, name }));
  }

  get #running(): readonly ListedDomain[] {
    return this.#domainsLeftOut.filter(({ uuid }) => !this.#stopped.has(uuid));
  }

  /** How many may hang when the next ones have been asked. */
  get #stuckMax(): number {
    return Math.max(STUCK_MAX, Math.min(this.#stuck.size + 1, STUCK_AT_LAST_MAX));
  }

  /** By as many at the same time as may yet hang, each of whom ends with the first that does. Never rejects. */
  async #askEach(virsh: Virsh, domains: readonly ListedDomain[], stuckMax: number): Promise<void> {
    const waiting = [...domains];
    const hasPlace = (): boolean => virsh === this.#virsh && this.#stuck.size + this.#asking < stuckMax;
    const askOneByOne = async (): Promise<void> => {
      while (hasPlace()) {
        const next = waiting.shift();
        if (next === undefined) return;
        this.#asking += 1;
        const isConnected = await this.#askOne(virsh, next);
        this.#asking -= 1;
        if (!isConnected) return;
      }
    };
    // Each takes its place before the next one begins.
    await Promise.all(Array.from({ length: Math.min(stuckMax, waiting.length) }, askOneByOne));
  }

  /** Whether there was an answer, or none in time. Never rejects. */
  async #askOne(virsh: Virsh, { uuid, name }: ListedDomain): Promise<boolean> {
    let isStuck: boolean;
    try {
      const said = parseDomainStats(await virsh.probe(domainStatsOf([uuid]), NEVER)).get(name);
      // The look that found out that somebody hangs waits for one as well.
      isStuck = said !== undefined && !wasAsked(said);
    } catch (error) {
      if (isOf(error, 'EUNAVAILABLE')) return false;
      // A refusal is an answer too.
      isStuck = isOf(error, 'ETIMEDOUT');
    }
    if (virsh !== this.#virsh) return false;
    if (isStuck) this.#stuck.add(name);
    this.#leftOut.delete(uuid);
    return true;
  }
}

/** Of one that libvirt could not ask it says neither; of one without a balloon it says what its QEMU holds. */
const wasAsked = ({ lastUpdate, resident }: DomainStats): boolean => lastUpdate !== null || resident !== null;

const isOf = (error: unknown, code: VirshError['virshCode']): boolean =>
  error instanceof VirshError && error.virshCode === code;
