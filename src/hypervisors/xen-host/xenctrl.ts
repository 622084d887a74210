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

interface Xenctrl {
  readonly open: () => unknown;
  readonly close: (handle: unknown) => void;
  readonly setMaxmem: (handle: unknown, domid: number, limit: number) => Promise<unknown>;
}

/** Opens the library. Rejects with `HypervisorError` `ENODEV` where it is missing or does not get at Xen. */
export async function openLimitSetter(): Promise<LimitSetter> {
  const path = findLibrary('xenctrl');
  const library = await loadXenctrl(path);
  const handle = library.open();
  if (handle === null) throw unusable(`${path} does not get at Xen: its xc_interface_open failed`);
  return {
    async set(domid, limit) {
      if ((await library.setMaxmem(handle, domid, limit)) === 0) return;
      throw new HypervisorError({
        code: 'EIO',
        message: `Xen did not take ${limit} KiB as the most that domain ${domid} may hold`,
        advice: 'Look at Xen’s own log: xl dmesg',
      });
    },
    close: () => {
      library.close(handle);
    },
  };
}

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
