/** What can go wrong with machines behind monitors, in words and with what to do. */
import * as port from '../../adapter/port-errors.js';
import { HypervisorError } from '../../errors.js';

const IF_SLOW = 'Is its QEMU stopped, or held up by a slow disk? It is asked again in the next round';

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

/** A machine that was started without memory devices. */
export const noGrowth = (guest: string): HypervisorError =>
  new HypervisorError({
    code: 'EPERM',
    guest,
    message: 'it has no virtio-mem device, and can have no more than its boot memory',
    advice: 'Give QEMU -m SIZE,maxmem=MORE and -device virtio-mem-pci',
  });

/** The time is up, for one that waited as for one that was begun. */
export const targetTooSlow = (guest: string, target: number): HypervisorError =>
  port.targetTooSlow(guest, target, IF_SLOW);

/** The time is up. */
export const growthTooSlow = (guest: string, plugged: number): HypervisorError =>
  port.growthTooSlow(guest, plugged, IF_SLOW);

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
