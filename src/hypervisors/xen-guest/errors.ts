/** What can go wrong with a Xen guest's balloon and overflow tier, in words and with what to do. */
import { errorText, HypervisorError, quoted, systemErrorCode } from '../../errors.js';
import type { GuestSize } from '../../units.js';

/** The one guest of this adapter was meant, and another was named. */
export const unknownGuest = (guest: string, own: string): HypervisorError =>
  new HypervisorError({
    code: 'EGONE',
    guest,
    message: `there is no such guest here: inside a Xen guest the only one is ${own}`,
    advice: 'If the host name has changed since the daemon was started, start it again',
  });

/** The target is one that must never be written. */
export const impossibleTarget = (guest: string, target: GuestSize): HypervisorError =>
  new HypervisorError({
    code: 'EINVAL',
    guest,
    message: `a target of ${target} pages was asked for and not written: it is 0 or not below 2^53 KiB`,
    advice: 'This is a fault of the program; please report it',
  });

/** Writing `target_kb` failed. */
export function writeFailed(guest: string, path: string, cause: unknown): HypervisorError {
  const message = `setting the balloon's target through ${path} failed: ${errorText(cause)}`;
  switch (systemErrorCode(cause)) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new HypervisorError({
        code: 'EPERM',
        guest,
        message,
        advice: 'Run it as root, with /sys writable (containers often have it read-only)',
        cause,
      });
    case 'ENOENT':
    case 'ENOTDIR':
      return new HypervisorError({
        code: 'ENODEV',
        guest,
        message,
        advice: 'The kernel needs the Xen balloon driver (CONFIG_XEN_BALLOON), and the machine must be a Xen guest',
        cause,
      });
    default:
      return new HypervisorError({ code: 'EIO', guest, message, advice: 'See the kernel log (dmesg)', cause });
  }
}

/** `target_kb` reads as something else than what was written to it. */
export const notTaken = (guest: string, wrote: string, readBack: string): HypervisorError =>
  new HypervisorError({
    code: 'EIO',
    guest,
    message: `wrote ${wrote.trim()} KiB to target_kb, and it reads ${quoted(readBack.trim())} right after`,
    advice: 'Something else sets it too: another copy of this program, or the host (xl mem-set)',
  });

/** The time limit passed. */
export const outOfTime = (guest: string, doing: string): HypervisorError =>
  new HypervisorError({
    code: 'ETIMEDOUT',
    guest,
    message: `${doing} was not finished in time`,
    advice: 'The guest may be short of CPU or memory; it is tried again in the next round',
  });

/** A newer target, `by`, was asked for while this one waited for a write under way. It was never written. */
export const superseded = (guest: string, by: string): HypervisorError =>
  new HypervisorError({
    code: 'EUNAVAILABLE',
    guest,
    message: `this balloon target was not written: a newer one, ${by.trim()} KiB, was asked for while it waited`,
  });

/** The daemon lets go of the guest while a write to `path` has not come back. */
export const stillWriting = (guest: string, path: string): HypervisorError =>
  new HypervisorError({
    code: 'ETIMEDOUT',
    guest,
    message: `a write to ${path} has not come back, so nobody knows which balloon target it will leave`,
    advice: 'Look at the file; to give all memory back, run: selfballoon release',
  });

/** The overflow tier was to be shrunk, and there is none. */
export const noTier = (guest: string): HypervisorError =>
  new HypervisorError({
    code: 'ENODEV',
    guest,
    message: 'there is no overflow tier to shrink',
    advice: 'Name swap stripes in the configuration under [overflow]',
  });
