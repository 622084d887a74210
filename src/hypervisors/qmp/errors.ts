/** What can go wrong with machines behind monitors, in words and with what to do. */
import { errorText, HypervisorError, SelfballoonError } from '../../errors.js';

/** The machine is not there, or not any more. */
export const goneMachine = (guest: string): HypervisorError =>
  new HypervisorError({
    code: 'EGONE',
    guest,
    message: 'there is no such machine (any more): no QEMU of that name answers on any of the sockets',
  });

/** A machine that was started without a balloon. */
export const noBalloon = (guest: string): HypervisorError =>
  new HypervisorError({
    code: 'EPERM',
    guest,
    message: 'it has no balloon, and its size cannot be set',
    advice: 'Give QEMU -device virtio-balloon-pci, or plug one in',
  });

/** The time is up, for one that waited as for one that was begun. */
export const targetTooSlow = (guest: string, target: number): HypervisorError =>
  new HypervisorError({
    code: 'ETIMEDOUT',
    guest,
    message: `asking for ${target} pages had no answer in time`,
    advice: 'Is its QEMU stopped, or held up by a slow disk? It is asked again in the next round',
  });

/** It was never asked for. */
export const superseded = (guest: string): HypervisorError =>
  new HypervisorError({
    code: 'EUNAVAILABLE',
    guest,
    message: 'a newer target took the place of this one while it waited, and this one was never asked for',
  });

/** A target that must never be asked for. */
export const impossibleTarget = (guest: string, target: number): HypervisorError =>
  new HypervisorError({
    code: 'EINVAL',
    guest,
    message: `a target of ${target} pages was wanted and not asked for: it is 0 or not below 2^53 bytes`,
    advice: 'This is a fault of the program; please report it',
  });

/** A machine that was started without memory devices. */
export const noGrowth = (guest: string): HypervisorError =>
  new HypervisorError({
    code: 'EPERM',
    guest,
    message: 'it has no virtio-mem device, and can have no more than its boot memory',
    advice: 'Give QEMU -m SIZE,maxmem=MORE and -device virtio-mem-pci',
  });

/** The time is up. */
export const growthTooSlow = (guest: string, plugged: number): HypervisorError =>
  new HypervisorError({
    code: 'ETIMEDOUT',
    guest,
    message: `asking to have ${plugged} pages plugged in had no answer in time`,
    advice: 'Is its QEMU stopped, or held up by a slow disk? It is asked again in the next round',
  });

/** It was never asked for. */
export const growthSuperseded = (guest: string): HypervisorError =>
  new HypervisorError({
    code: 'EUNAVAILABLE',
    guest,
    message: 'something newer was asked to be plugged in while this waited, and this was never asked for',
  });

/** What can never be plugged in. */
export const impossibleGrowth = (guest: string, plugged: number): HypervisorError =>
  new HypervisorError({
    code: 'EINVAL',
    guest,
    message: `${plugged} pages were to be plugged in and were not asked for: they are no whole blocks, or more than there can be`,
    advice: 'Were memory devices unplugged just now? Otherwise this is a fault of the program; please report it',
  });

/** Nothing of the kind is here. */
export const noOverflow = (guest: string): HypervisorError =>
  new HypervisorError({
    code: 'ENODEV',
    guest,
    message: 'its overflow tier is inside the guest, and cannot be shrunk from its host',
    advice: 'Run selfballoon in the guest for that',
  });

/** Nothing is looked at any more. */
export const closed = (): HypervisorError =>
  new HypervisorError({ code: 'EUNAVAILABLE', message: 'the machines are not looked at any more: they were closed' });

/** The look was not finished when its time was up. */
export const lookTooSlow = (guest: string): HypervisorError =>
  new HypervisorError({
    code: 'ETIMEDOUT',
    guest,
    message: 'its QEMU did not answer in time',
    advice: 'Is it stopped (SIGSTOP), or held up by a slow disk? It is looked at again in the next round',
  });

/** At the end something is still on its way. */
export const stillAsking = (): HypervisorError =>
  new HypervisorError({
    code: 'ETIMEDOUT',
    message: 'a request is still on its way to a QEMU, and nobody knows whether it will be set',
    advice:
      'Look at the machine with `info balloon` and `info memory-devices` in its monitor, and set what is wrong with `balloon MIB`',
  });

/** Whatever went wrong, as the one error that crosses the adapter's border. */
export function asHypervisorError(guest: string, doing: string, cause: unknown): HypervisorError {
  if (cause instanceof HypervisorError) return cause;
  const code = cause instanceof SelfballoonError ? cause.code : 'EIO';
  return new HypervisorError({ code, guest, message: `${doing}: ${errorText(cause)}`, cause });
}
