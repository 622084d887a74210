/** What tests look at in a guest of the lab. */
import type { XenGuest } from '../../../lab/xen/guest.js';

/** The folder of the balloon driver's attributes. */
export const BALLOON = '/sys/devices/system/xen_memory/xen_memory0';

/** The balloon driver's `info/current_kb`, in pages. */
export const heldPages = async (guest: XenGuest): Promise<number> =>
  Number(await guest.run(`cat ${BALLOON}/info/current_kb`)) / 4;

/** Waits until what the guest holds, by its own driver, is less than (`lt`), or just (`eq`), so many pages. */
export const waitForHeld = (guest: XenGuest, is: 'lt' | 'eq', pages: number, limitMs: number): Promise<void> =>
  guest.waitUntil(`read held < ${BALLOON}/info/current_kb; [ "$held" -${is} ${pages * 4} ]`, {
    what: `a guest with ${is} ${pages} pages`,
    limitMs,
  });

/** What the driver was told last, in pages. */
export const targetPages = async (guest: XenGuest): Promise<number> =>
  Number(await guest.run(`cat ${BALLOON}/target_kb`)) / 4;

/** Processes that the guest's kernel has killed for want of memory since it booted. */
export const oomKills = async (guest: XenGuest): Promise<number> =>
  Number(/^oom_kill (\d+)/m.exec(await guest.run('cat /proc/vmstat'))?.[1]);

/** What is in the guest's swap stripes, in KiB. */
export const swappedKib = async (guest: XenGuest): Promise<number> =>
  Number(await guest.run("awk 'NR > 1 { sum += $4 } END { print sum + 0 }' /proc/swaps"));

/** How many of the guest's swap stripes have something in them. */
export const stripesInUse = async (guest: XenGuest): Promise<number> =>
  Number(await guest.run("awk 'NR > 1 && $4 > 0 { n += 1 } END { print n + 0 }' /proc/swaps"));
