/**
 * Sees a host's memory through libxenstat, which any dom0 has. It calls the C library, off the event loop and one call at a time,
 * and does not know what the numbers are for. koffi and the library are loaded when it is opened.
 *
 * Source: xenstat.h of Xen 4.17, package libxenmisc. All sizes there are bytes.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { unlessAborted } from '../../control/abort.js';
import { errorText, HypervisorError } from '../../errors.js';
import { bytes, bytesToPagesDown, kib, pagesToKib, type KiB } from '../../units.js';
import { lookTooSlow } from './errors.js';
import { NO_LIMIT_KIB, type DomainSight, type HostSight, type SightSource } from './sight.js';

/** Where distributions put it; the loader's own search finds it elsewhere only under its development name. */
const LIBRARY_FOLDERS = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/usr/lib64',
  '/usr/lib',
  '/usr/local/lib',
];
const LIBRARY_NAME = /^libxenstat\.so(\.[\d.]+)?$/;

type Handle = unknown;

/** The few calls that are needed. */
interface Xenstat {
  readonly init: () => Handle;
  readonly uninit: (handle: Handle) => void;
  readonly getNode: (handle: Handle) => Promise<Handle>;
  readonly freeNode: (node: Handle) => void;
  readonly total: (node: Handle) => number | bigint;
  readonly free: (node: Handle) => number | bigint;
  readonly count: (node: Handle) => number;
  readonly domain: (node: Handle, index: number) => Handle;
  readonly id: (domain: Handle) => number;
  readonly held: (domain: Handle) => number | bigint;
  readonly maximum: (domain: Handle) => number | bigint;
  readonly isDying: (domain: Handle) => number;
}

/** Opens the library. Rejects with `HypervisorError` `ENODEV` where it is missing or does not get at Xen. */
export async function openXenstat(): Promise<SightSource> {
  const path = findLibrary();
  if (path === null) throw cannotSee(`there is no libxenstat in ${LIBRARY_FOLDERS.join(', ')}`);
  let library: Xenstat;
  try {
    library = await loadXenstat(path);
  } catch (error) {
    throw cannotSee(`${path} cannot be used: ${errorText(error)}`, error);
  }
  const handle = library.init();
  if (handle === null) throw cannotSee(`${path} does not get at Xen: its xenstat_init failed`);
  return new XenstatSource(library, handle, path);
}

const cannotSee = (message: string, cause?: unknown): HypervisorError =>
  new HypervisorError({
    code: 'ENODEV',
    message,
    advice: 'Install libxenmisc (Debian) or xen-runtime (Fedora), and run it as root in dom0 with /proc/xen mounted',
    ...(cause === undefined ? {} : { cause }),
  });

function findLibrary(): string | null {
  for (const folder of LIBRARY_FOLDERS) {
    const name = namesIn(folder).find((candidate) => LIBRARY_NAME.test(candidate));
    if (name !== undefined) return join(folder, name);
  }
  return null;
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    // Most machines have only some of the folders.
    return [];
  }
}

async function loadXenstat(path: string): Promise<Xenstat> {
  const { default: koffi } = await import('koffi');
  const c = koffi.load(path);
  const getNode = c.func('void *xenstat_get_node(void *handle, unsigned int flags)');
  return {
    init: c.func('void *xenstat_init()'),
    uninit: c.func('void xenstat_uninit(void *handle)'),
    getNode: (handle) =>
      new Promise((resolve, reject) => {
        getNode.async(handle, BASIC, (error: unknown, node: Handle) => {
          if (error instanceof Error) reject(error);
          else resolve(node);
        });
      }),
    freeNode: c.func('void xenstat_free_node(void *node)'),
    total: c.func('unsigned long long xenstat_node_tot_mem(void *node)'),
    free: c.func('unsigned long long xenstat_node_free_mem(void *node)'),
    count: c.func('unsigned int xenstat_node_num_domains(void *node)'),
    domain: c.func('void *xenstat_node_domain_by_index(void *node, unsigned int index)'),
    id: c.func('unsigned int xenstat_domain_id(void *domain)'),
    held: c.func('unsigned long long xenstat_domain_cur_mem(void *domain)'),
    maximum: c.func('unsigned long long xenstat_domain_max_mem(void *domain)'),
    isDying: c.func('unsigned int xenstat_domain_dying(void *domain)'),
  };
}

/** `xenstat_get_node` collects networks, block devices and processors only when it is asked to. */
const BASIC = 0;

class XenstatSource implements SightSource {
  readonly description: string;
  readonly #library: Xenstat;
  readonly #handle: Handle;
  /** The library is not made for two calls at a time; one that hangs is waited for by all. */
  #looking: Promise<HostSight> | null = null;
  #isClosed = false;

  constructor(library: Xenstat, handle: Handle, path: string) {
    this.#library = library;
    this.#handle = handle;
    this.description = path;
  }

  look(signal: AbortSignal): Promise<HostSight> {
    this.#looking ??= this.#look().finally(() => (this.#looking = null));
    return unlessAborted(this.#looking, signal, () => lookTooSlow(this.description));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    // A call that hangs keeps the handle: freeing it under the call would crash the process.
    if (this.#looking === null) this.#library.uninit(this.#handle);
    return Promise.resolve();
  }

  async #look(): Promise<HostSight> {
    if (this.#isClosed) throw new HypervisorError({ code: 'EUNAVAILABLE', message: 'the host is not looked at any more' });
    const node = await this.#library.getNode(this.#handle);
    if (node === null) {
      const advice = 'Is xenstored alive? It asks it for the names of domains';
      throw new HypervisorError({ code: 'EIO', message: `${this.description} could not look at the host`, advice });
    }
    try {
      return this.#sightOf(node);
    } finally {
      this.#library.freeNode(node);
    }
  }

  #sightOf(node: Handle): HostSight {
    const { total, free, count, domain } = this.#library;
    const domains = Array.from({ length: count(node) }, (_, index) => this.#domainSight(domain(node, index)));
    return { total: inKib(total(node)), free: inKib(free(node)), domains };
  }

  #domainSight(domain: Handle): DomainSight {
    const { id, held, maximum, isDying } = this.#library;
    return {
      domid: id(domain),
      held: inKib(held(domain)),
      maximum: limitIn(maximum(domain)),
      isDying: isDying(domain) !== 0,
    };
  }
}

/** Bytes that are no safe integer come as bigint. */
const inKib = (size: number | bigint): KiB => pagesToKib(bytesToPagesDown(bytes(Number(size))));

function limitIn(size: number | bigint): KiB | null {
  const limit = Number(size) / 1024;
  return limit >= NO_LIMIT_KIB ? null : kib(Math.floor(limit));
}
