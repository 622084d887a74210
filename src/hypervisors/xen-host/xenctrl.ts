/**
 * Sets the limit that Xen itself puts on what a domain may hold, through libxenctrl. A target above the limit cannot be reached, and
 * a guest could take what it was asked to give up back by itself, up to the limit. So it is moved with the target, as Xen's own
 * toolstack does; and with it what Xen keeps ready for a guest that was started with less than it can have (PVH and HVM, "populate on
 * demand"). One that is given more before its balloon driver has looked never takes the rest away from itself, and Xen ends it when it
 * touches more than is there. It decides nothing about targets.
 *
 * Source: xenctrl.h of Xen 4.17 (`xc_domain_setmaxmem`, in KiB; `xc_domain_get_pod_target` and `xc_domain_set_pod_target`, in pages), and
 * libxl's `libxl_set_memory_target`.
 */
import { HypervisorError } from '../../errors.js';
import type { KiB, Pages } from '../../units.js';
import { callAside, findLibrary, loadCalls, unusable } from './c-library.js';

/** Somebody who can set Xen's own limits. */
export interface LimitSetter {
  /** Sets the most that the domain may hold. Rejects with `HypervisorError` `EIO`. */
  set(domid: number, limit: KiB): Promise<void>;
  /**
   * Has memory ready for so many of the domain's pages, within its limit, where it has not touched them all yet. Rejects with
   * `HypervisorError` `EIO`; what there was free is the domain's then all the same.
   */
  makeReady(domid: number, total: Pages): Promise<void>;
  close(): void;
}

/** The few calls that are needed. */
export interface Xenctrl {
  readonly open: () => unknown;
  readonly close: (handle: unknown) => void;
  readonly setMaxmem: (handle: unknown, domid: number, limit: number) => Promise<unknown>;
  /** How many of the domain's pages have never been touched, and have memory only when they are; null: Xen does not say. */
  readonly untouched: (handle: unknown, domid: number) => Promise<number | null>;
  readonly setPodTarget: (handle: unknown, domid: number, target: Pages) => Promise<unknown>;
}

/** Opens the library. Rejects with `HypervisorError` `ENODEV` where it is missing or does not get at Xen. */
export async function openLimitSetter(): Promise<LimitSetter> {
  const path = findLibrary('xenctrl');
  return limitSetterOver(await loadXenctrl(path), path);
}

/** The same over the library's calls. Throws `HypervisorError` `ENODEV` where it does not get at Xen. */
export function limitSetterOver(library: Xenctrl, path: string): LimitSetter {
  const handle = library.open();
  if (handle === null) throw unusable(`${path} does not get at Xen: its xc_interface_open failed`);
  let underWay = 0;
  let isClosed = false;
  /** A call that hangs keeps the handle: freeing it under the call would crash the process. */
  const whileOpen = async (failure: (why: string) => HypervisorError, call: () => Promise<unknown>): Promise<void> => {
    if (isClosed) throw failure('it was asked to after it had been closed');
    underWay += 1;
    const result = await call().finally(() => (underWay -= 1));
    if (result !== 0) throw failure('Xen refused');
  };
  return {
    set: (domid, limit) =>
      whileOpen(
        (why) => notSet(domid, limit, why),
        () => library.setMaxmem(handle, domid, limit),
      ),
    makeReady: (domid, total) =>
      whileOpen(
        (why) => notReady(domid, total, why),
        async () => {
          const untouched = await library.untouched(handle, domid);
          // A PV domain has none, whatever Xen answers.
          return untouched === null || untouched === 0 ? 0 : library.setPodTarget(handle, domid, total);
        },
      ),
    close() {
      if (!isClosed && underWay === 0) library.close(handle);
      isClosed = true;
    },
  };
}

const notSet = (domid: number, limit: KiB, why: string): HypervisorError =>
  refused(`${limit} KiB was not set as the most that domain ${domid} may hold: ${why}`);

const notReady = (domid: number, total: Pages, why: string): HypervisorError =>
  refused(`there is no memory ready for all of ${total} pages of domain ${domid}: ${why}`);

const refused = (message: string): HypervisorError =>
  new HypervisorError({ code: 'EIO', message, advice: 'Look at Xen’s own log: xl dmesg' });

const loadXenctrl = (path: string): Promise<Xenctrl> =>
  loadCalls(path, (func) => {
    const open = func('void *xc_interface_open(void *logger, void *dombuild_logger, unsigned int flags)');
    const close = func('int xc_interface_close(void *handle)');
    const setMaxmem = func('int xc_domain_setmaxmem(void *handle, uint32_t domid, uint64_t max_memkb)');
    const getPod = func(
      'int xc_domain_get_pod_target(void *handle, uint32_t domid, _Out_ uint64_t *total, _Out_ uint64_t *cache, _Out_ uint64_t *entries)',
    );
    const setPod = func(
      'int xc_domain_set_pod_target(void *handle, uint32_t domid, uint64_t target, void *total, void *cache, void *entries)',
    );
    return {
      open: () => open(null, null, 0),
      close: (handle) => void close(handle),
      setMaxmem: (handle, domid, limit) => callAside(setMaxmem, handle, domid, limit),
      untouched: async (handle, domid) => {
        const [total, cache, entries] = [[0], [0], [0]];
        const result = await callAside(getPod, handle, domid, total, cache, entries);
        return result === 0 ? Number(entries[0]) : null;
      },
      setPodTarget: (handle, domid, target) => callAside(setPod, handle, domid, target, null, null, null),
    };
  });
