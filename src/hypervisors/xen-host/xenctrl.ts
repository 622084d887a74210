/**
 * Sets the limit that Xen itself puts on what a domain may hold, through libxenctrl. A target above the limit cannot be reached, and
 * a guest could take what it was asked to give up back by itself, up to the limit. So it is moved with the target, as Xen's own
 * toolstack does. It decides nothing about targets.
 *
 * Source: xenctrl.h of Xen 4.17 (`xc_domain_setmaxmem`, in KiB), and libxl's `libxl_set_memory_target`.
 */
import { HypervisorError } from '../../errors.js';
import type { KiB } from '../../units.js';
import { callAside, findLibrary, loadCalls, unusable } from './c-library.js';

/** Somebody who can set Xen's own limits. */
export interface LimitSetter {
  /** Sets the most that the domain may hold. Rejects with `HypervisorError` `EIO`. */
  set(domid: number, limit: KiB): Promise<void>;
  close(): void;
}

/** The few calls that are needed. */
export interface Xenctrl {
  readonly open: () => unknown;
  readonly close: (handle: unknown) => void;
  readonly setMaxmem: (handle: unknown, domid: number, limit: number) => Promise<unknown>;
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
  return {
    async set(domid, limit) {
      if (isClosed) throw notSet(domid, limit, 'it was asked to after it had been closed');
      underWay += 1;
      const result = await library.setMaxmem(handle, domid, limit).finally(() => (underWay -= 1));
      if (result !== 0) throw notSet(domid, limit, 'Xen refused');
    },
    close() {
      // A call that hangs keeps the handle: freeing it under the call would crash the process.
      if (!isClosed && underWay === 0) library.close(handle);
      isClosed = true;
    },
  };
}

const notSet = (domid: number, limit: KiB, why: string): HypervisorError =>
  new HypervisorError({
    code: 'EIO',
    message: `${limit} KiB was not set as the most that domain ${domid} may hold: ${why}`,
    advice: 'Look at Xen’s own log: xl dmesg',
  });

const loadXenctrl = (path: string): Promise<Xenctrl> =>
  loadCalls(path, (func) => {
    const open = func('void *xc_interface_open(void *logger, void *dombuild_logger, unsigned int flags)');
    const close = func('int xc_interface_close(void *handle)');
    const setMaxmem = func('int xc_domain_setmaxmem(void *handle, uint32_t domid, uint64_t max_memkb)');
    return {
      open: () => open(null, null, 0),
      close: (handle) => void close(handle),
      setMaxmem: (handle, domid, limit) => callAside(setMaxmem, handle, domid, limit),
    };
  });
