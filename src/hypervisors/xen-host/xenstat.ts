/**
 * Sees a host's memory through libxenstat, which any dom0 has. It calls the C library, off the event loop and one call at a time,
 * and does not know what the numbers are for.
 *
 * Source: xenstat.h of Xen 4.17, package libxenmisc. All sizes there are bytes.
 */
import { unlessAborted } from '../../waiting/abort.js';
import { HypervisorError } from '../../errors.js';
import { kib, type KiB } from '../../units.js';
import { callAside, findLibrary, loadCalls, unusable } from './c-library.js';
import { lookTooSlow } from './errors.js';
import { NO_LIMIT_KIB, type DomainSight, type HostSight, type SightSource } from './sight.js';

/** What the library hands out, and takes back. */
type Pointer = unknown;

/** The few calls that are needed. Sizes are bytes, rounded to what a number can hold. */
export interface Xenstat {
  readonly init: () => Pointer;
  readonly uninit: (handle: Pointer) => void;
  readonly getNode: (handle: Pointer) => Promise<Pointer>;
  readonly freeNode: (node: Pointer) => void;
  readonly total: (node: Pointer) => number;
  readonly free: (node: Pointer) => number;
  readonly count: (node: Pointer) => number;
  readonly domain: (node: Pointer, index: number) => Pointer;
  readonly id: (domain: Pointer) => number;
  readonly held: (domain: Pointer) => number;
  readonly maximum: (domain: Pointer) => number;
  readonly isDying: (domain: Pointer) => boolean;
}

/** `xenstat_get_node` collects networks, block devices and processors only when it is asked to. */
const BASIC = 0;

/** Opens the library. Rejects with `HypervisorError` `ENODEV` where it is missing or does not get at Xen. */
export async function openXenstat(): Promise<SightSource> {
  const path = findLibrary('xenstat');
  return xenstatOver(await loadXenstat(path), path);
}

/** The same over the library's calls. Throws `HypervisorError` `ENODEV` where it does not get at Xen. */
export function xenstatOver(library: Xenstat, path: string): SightSource {
  const handle = library.init();
  if (handle === null) throw unusable(`${path} does not get at Xen: its xenstat_init failed`);
  return new XenstatSource(library, handle, path);
}

const loadXenstat = (path: string): Promise<Xenstat> =>
  loadCalls(path, (func) => {
    const init = func('void *xenstat_init()');
    const uninit = func('void xenstat_uninit(void *handle)');
    const getNode = func('void *xenstat_get_node(void *handle, unsigned int flags)');
    const freeNode = func('void xenstat_free_node(void *node)');
    const domain = func('void *xenstat_node_domain_by_index(void *node, unsigned int index)');
    const count = func('unsigned int xenstat_node_num_domains(void *node)');
    const id = func('unsigned int xenstat_domain_id(void *domain)');
    const isDying = func('unsigned int xenstat_domain_dying(void *domain)');
    const bytesOf = (name: string): ((of: Pointer) => number) => {
      const call = func(`unsigned long long ${name}(void *of)`);
      return (of) => Number(call(of));
    };
    return {
      init: () => init(),
      uninit: (handle) => void uninit(handle),
      getNode: (handle) => callAside(getNode, handle, BASIC),
      freeNode: (node) => void freeNode(node),
      total: bytesOf('xenstat_node_tot_mem'),
      free: bytesOf('xenstat_node_free_mem'),
      count: (node) => Number(count(node)),
      domain: (node, index) => domain(node, index),
      id: (of) => Number(id(of)),
      held: bytesOf('xenstat_domain_cur_mem'),
      maximum: bytesOf('xenstat_domain_max_mem'),
      isDying: (of) => Number(isDying(of)) !== 0,
    };
  });

class XenstatSource implements SightSource {
  readonly description: string;
  readonly ifSlow = 'Is xenstored alive, and dom0 not short of memory or of processor time itself?';
  readonly #library: Xenstat;
  #handle: Pointer;
  /** The library is not made for two calls at a time. */
  #looking: Promise<HostSight> | null = null;
  /** What each domain held at the last look, by its number. */
  #heldBefore: ReadonlyMap<number, KiB> = new Map();
  #isClosed = false;

  constructor(library: Xenstat, handle: Pointer, path: string) {
    this.#library = library;
    this.#handle = handle;
    this.description = path;
  }

  look(signal: AbortSignal): Promise<HostSight> {
    // What one that hangs brings in the end is as old as its beginning: nobody else may take it for a look of his own.
    if (this.#looking !== null) return Promise.reject(lookTooSlow(this));
    this.#looking = this.#lookFreeLast().finally(() => (this.#looking = null));
    return unlessAborted(this.#looking, signal, () => lookTooSlow(this));
  }

  close(): Promise<void> {
    // A call that hangs keeps the handle: freeing it under the call would crash the process.
    if (!this.#isClosed && this.#looking === null) this.#letGo();
    this.#isClosed = true;
    return Promise.resolve();
  }

  /**
   * The library asks Xen what is free before it asks what the domains hold (`xenstat_get_node`). What one of them takes in between would
   * count twice, as free and as held: where one holds more than before, that is asked for once more.
   */
  async #lookFreeLast(): Promise<HostSight> {
    const sight = await this.#look();
    const before = this.#heldBefore;
    this.#heldBefore = new Map(sight.domains.map(({ domid, held }) => [domid, held]));
    if (!sight.domains.some(({ domid, held }) => held > (before.get(domid) ?? 0))) return sight;
    const { free } = await this.#lookOnce();
    return free < sight.free ? { ...sight, free } : sight;
  }

  async #look(): Promise<HostSight> {
    const sight = await this.#lookOnce();
    if (sight.domains.length > 0) return sight;
    // It leaves out every domain whose name xenstored does not tell, and does not connect again when it has lost xenstored.
    this.#letGo();
    const again = await this.#lookOnce();
    if (again.domains.length === 0) throw this.#failed('could not learn the name of any domain');
    return again;
  }

  #letGo(): void {
    if (this.#handle !== null) this.#library.uninit(this.#handle);
    this.#handle = null;
  }

  #failed(what: string): HypervisorError {
    const advice =
      'Is xenstored alive? It asks it for the names of domains. After an upgrade Xen answers a library of its own version only: compare with xl info';
    return new HypervisorError({ code: 'EIO', message: `${this.description} ${what}`, advice });
  }

  async #lookOnce(): Promise<HostSight> {
    if (this.#isClosed)
      throw new HypervisorError({ code: 'EUNAVAILABLE', message: 'the host is not looked at any more' });
    this.#handle ??= this.#library.init();
    if (this.#handle === null) throw this.#failed('does not get at Xen any more: its xenstat_init failed');
    const node = await this.#library.getNode(this.#handle);
    if (node === null) throw this.#failed('could not look at the host');
    try {
      return this.#sightOf(node);
    } finally {
      this.#library.freeNode(node);
    }
  }

  #sightOf(node: Pointer): HostSight {
    const { total, free, count, domain } = this.#library;
    const domains = Array.from({ length: count(node) }, (_, index) => this.#domainSight(domain(node, index)));
    return { total: inKib(total(node)), free: inKib(free(node)), domains };
  }

  #domainSight(domain: Pointer): DomainSight {
    const { id, held, maximum, isDying } = this.#library;
    const limit = maximum(domain) / 1024;
    return {
      domid: id(domain),
      held: inKib(held(domain)),
      maximum: limit >= NO_LIMIT_KIB ? null : kib(Math.floor(limit)),
      isDying: isDying(domain),
    };
  }
}

const inKib = (size: number): KiB => kib(Math.floor(size / 1024));
