/**
 * What the kernel says of the memory of an emulator's process, and whether that stays with the process when the guest gives memory up: of
 * huge pages a balloon takes 4 KiB here and there, and what is locked or pinned cannot be given to anybody else. It does not know which
 * process it is, nor what follows.
 */
import { addPages, kib, kibToPagesDown, NO_PAGES, type Pages } from '../units.js';

/** Of one process (`/proc/PID/status`, Linux' Documentation/filesystems/proc.rst). */
export interface ProcessMemory {
  /** What it has of the host's memory: `VmRSS`, in which huge pages are not, and `HugetlbPages`. */
  readonly resident: Pages;
  readonly hugePages: Pages;
  /** `VmLck`: by `mlock`, and what VFIO's type 1 pins for devices, once for each of its containers. */
  readonly locked: Pages;
  /** `VmPin`: what iommufd and vhost-vDPA pin for devices. */
  readonly pinned: Pages;
}

/** Why memory stays with its emulator, and how much of it was seen. */
export interface KeptMemory {
  readonly cause: 'huge-pages' | 'locked' | 'pinned';
  readonly size: Pages;
}

/** Null: there is no resident set among these lines. Older kernels do not have all of the others: those count as nothing. */
export function decodeProcessMemory(text: string): ProcessMemory | null {
  const ordinary = sizeIn(text, RESIDENT);
  if (ordinary === null) return null;
  const hugePages = sizeIn(text, HUGE_PAGES) ?? NO_PAGES;
  const [locked, pinned] = [sizeIn(text, LOCKED) ?? NO_PAGES, sizeIn(text, PINNED) ?? NO_PAGES];
  return { resident: addPages(ordinary, hugePages), hugePages, locked, pinned };
}

/**
 * Any huge pages are the guest's: one that was not given all of them at its start takes them as it runs. Of what is locked or pinned a part
 * may be QEMU's own, as io_uring's buffers are, so that it counts from half of the guest's memory on. `base` null: not known, and only huge
 * pages tell.
 */
export function keptOf({ hugePages, locked, pinned }: ProcessMemory, base: Pages | null): KeptMemory | null {
  if (hugePages > 0) return { cause: 'huge-pages', size: hugePages };
  if (base === null || base === 0) return null;
  if (locked >= base / 2) return { cause: 'locked', size: locked };
  return pinned >= base / 2 ? { cause: 'pinned', size: pinned } : null;
}

function sizeIn(text: string, line: RegExp): Pages | null {
  const [, size] = line.exec(text) ?? [];
  return size === undefined ? null : kibToPagesDown(kib(Number(size)));
}

const RESIDENT = /^VmRSS:\s+(\d+) kB$/m;
const HUGE_PAGES = /^HugetlbPages:\s+(\d+) kB$/m;
const LOCKED = /^VmLck:\s+(\d+) kB$/m;
const PINNED = /^VmPin:\s+(\d+) kB$/m;
