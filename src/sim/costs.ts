/**
 * What the simulated machine's work costs, in seconds of waiting for one page of 4 KiB. Orders of magnitude, for a guest on a
 * shared flash disk; the differences between them are what matters: a disk is some twenty times dearer than a copy.
 */

/** A random read from a virtual flash disk: about 0.1 ms. */
export const DISK_READ_SECONDS = 100e-6;
/** Writing out to swap, where the writer is held back to the disk's 200 MB/s. */
export const DISK_WRITE_SECONDS = 20e-6;
/** A hypercall and a copy between guest and tmem. */
export const COPY_SECONDS = 5e-6;
/** Finding and unmapping a clean page by the task that needs one. */
export const DROP_SECONDS = 1e-6;
/** What the disk gives at random with read-ahead: 100 MiB/s. */
export const DISK_PAGES_PER_SECOND = 25_600;
/** Memory in use is touched again within about this time. */
export const TOUCH_SECONDS = 5;
/** Written file pages are clean after this: the kernel's `dirty_writeback_centisecs`. */
export const WRITEBACK_SECONDS = 5;
/** How much of what must be reclaimed comes from anonymous memory while there is page cache in use: `swappiness` 60 of 200. */
export const SWAPPINESS_SHARE = 60 / 200;
