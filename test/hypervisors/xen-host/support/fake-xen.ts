/** A Xen and its toolstack inside a test: domains with memory, their folders in a fake xenstored, and a limit on each. */
import { HypervisorError } from '../../../../src/errors.js';
import type { DomainSight, HostSight, SightSource } from '../../../../src/hypervisors/xen-host/sight.js';
import type { LimitSetter } from '../../../../src/hypervisors/xen-host/xenctrl.js';
import { kib } from '../../../../src/units.js';
import type { FakeXenstored } from '../../../xenstore/support/fake-xenstored.js';

export interface FakeDomain {
  held: number;
  /** Xen's own limit. */
  limit: number | null;
  isDying: boolean;
}

export interface NewDomain {
  readonly name?: string;
  /** All in KiB. */
  readonly held?: number;
  readonly target?: number;
  readonly staticMax?: number;
  readonly limit?: number | null;
  /** Further nodes below its home. */
  readonly nodes?: Readonly<Record<string, string>>;
}

export class FakeXen implements SightSource {
  readonly description = 'a Xen made up by a test';
  readonly ifSlow = 'Make the test faster';
  readonly domains = new Map<number, FakeDomain>();
  /** What was set, in order. */
  readonly limitsSet: { readonly domid: number; readonly limit: number }[] = [];
  /** For how many pages of a domain memory was to be ready. */
  readonly madeReady: { readonly domid: number; readonly total: number }[] = [];
  /** What becomes of that. */
  beforeReady: () => Promise<void> = () => Promise.resolve();
  /** What stands in the way of a look, or of setting a limit. */
  beforeLook: (signal: AbortSignal) => Promise<void> = () => Promise.resolve();
  beforeLimit: (domid: number) => Promise<void> = () => Promise.resolve();
  looks = 0;
  closings = 0;
  totalKib = 4_193_280;

  constructor(readonly store: FakeXenstored) {
    this.put('/local/domain/0/name', 'Domain-0');
    this.domains.set(0, { held: 819_200, limit: 819_200, isDying: false });
  }

  get freeKib(): number {
    return this.totalKib - [...this.domains.values()].reduce((sum, { held }) => sum + held, 0);
  }

  /** As the toolstack does: the folder first, then the domain is introduced. */
  create(domid: number, given: NewDomain = {}): FakeDomain {
    const { name = `guest-${domid}`, held = 262_144, target = held, staticMax = 524_288 } = given;
    const limit = given.limit === undefined ? held + 1_024 : given.limit;
    const domain = { held, limit, isDying: false };
    const home = `/local/domain/${domid}`;
    this.put(`${home}/name`, name);
    this.put(`${home}/memory/static-max`, `${staticMax}`);
    this.put(`${home}/memory/target`, `${target}`);
    for (const [node, value] of Object.entries(given.nodes ?? {})) this.put(`${home}/${node}`, value);
    this.domains.set(domid, domain);
    this.store.world.domains.add(domid);
    this.store.fire('@introduceDomain');
    return domain;
  }

  destroy(domid: number): void {
    this.domains.delete(domid);
    this.forget(domid);
    this.store.fire('@releaseDomain');
  }

  /** Its folder goes, and xenstored is not in touch with it any more; nobody is told. */
  forget(domid: number): void {
    this.store.world.domains.delete(domid);
    this.store.world.store.remove(`/local/domain/${domid}`, 0);
  }

  /** Writes as the toolstack does, or as a guest would where it may. */
  put(path: string, text: string): void {
    this.store.world.store.write(path, Buffer.from(text), 0);
    this.store.fire(path);
  }

  remove(path: string): void {
    this.store.world.store.remove(path, 0);
    this.store.fire(path);
  }

  /** What stands in a node; null = there is none. */
  text(path: string): string | null {
    return this.store.world.store.nodes.get(path)?.value.toString() ?? null;
  }

  async look(signal: AbortSignal): Promise<HostSight> {
    this.looks += 1;
    await this.beforeLook(signal);
    const domains: DomainSight[] = Array.from(this.domains, ([domid, { held, limit, isDying }]) => ({
      domid,
      held: kib(held),
      maximum: limit === null ? null : kib(limit),
      isDying,
    }));
    return { total: kib(this.totalKib), free: kib(this.freeKib), domains };
  }

  /** Who sets Xen's limits. */
  readonly limits: LimitSetter = {
    set: async (domid, limit) => {
      await this.beforeLimit(domid);
      const domain = this.domains.get(domid);
      if (domain === undefined) throw new HypervisorError({ code: 'EIO', message: `Xen knows no domain ${domid}` });
      domain.limit = limit;
      this.limitsSet.push({ domid, limit });
    },
    makeReady: async (domid, total) => {
      await this.beforeReady();
      this.madeReady.push({ domid, total });
    },
    close: () => {
      this.closings += 1;
    },
  };

  close(): Promise<void> {
    this.closings += 1;
    return Promise.resolve();
  }
}
