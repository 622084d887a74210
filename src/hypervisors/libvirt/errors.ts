/** What can go wrong with libvirt's domains, in words and with what to do. */
import * as port from '../../adapter/port-errors.js';
import { HypervisorError } from '../../errors.js';
import type { WhyLeftOut } from './stopped-qemus.js';

const IF_SLOW =
  'Is its QEMU stopped, or libvirt busy with it (migration, snapshot)? It is asked again in the next round';

/** The domain is not there, or not any more. */
export const goneDomain = (guest: string): HypervisorError =>
  new HypervisorError({
    code: 'EGONE',
    guest,
    message: 'there is no such domain (any more): libvirt runs none of that name',
  });

/** A domain without a balloon that could be driven. */
export const noBalloon = (guest: string): HypervisorError =>
  new HypervisorError({
    code: 'EPERM',
    guest,
    message: 'it has no balloon, and its size cannot be set',
    advice: "Give the domain <memballoon model='virtio' autodeflate='on'/> (virsh edit), and start it anew",
  });

/** libvirt cannot be asked anything now. */
export const noLibvirt = (why: string, guest?: string): HypervisorError =>
  new HypervisorError({
    code: 'EUNAVAILABLE',
    ...(guest === undefined ? {} : { guest }),
    message: `there is no connection to libvirt: ${why}`,
  });

/** A domain without memory devices. */
export const noGrowth = (guest: string): HypervisorError =>
  new HypervisorError({
    code: 'EPERM',
    guest,
    message: 'it has no virtio-mem device that could be asked, and can have no more than its boot memory',
    advice: "Give the domain <memory model='virtio-mem'> (docs/guides/libvirt.md), and start it anew",
  });

/** The time is up, for one that waited as for one that was begun. */
export const targetTooSlow = (guest: string, target: number): HypervisorError =>
  port.targetTooSlow(guest, target, IF_SLOW);

/** The time is up. */
export const growthTooSlow = (guest: string, plugged: number): HypervisorError =>
  port.growthTooSlow(guest, plugged, IF_SLOW);

/** Nothing is looked at any more. */
export const closed = (): HypervisorError =>
  new HypervisorError({ code: 'EUNAVAILABLE', message: 'the domains are not looked at any more: they were closed' });

/** The look was not finished when its time was up. */
export const lookTooSlow = (): HypervisorError =>
  new HypervisorError({
    code: 'ETIMEDOUT',
    message: 'libvirt did not say in time how its domains are',
    advice: 'See whether libvirtd answers (virsh domstats --balloon). They are looked at again in the next round',
  });

/** libvirt answered, and this domain was not among those that it told of. */
export const notTold = (guest: string): HypervisorError =>
  new HypervisorError({ code: 'EIO', guest, message: 'libvirt told of its other domains and not of this one' });

/** It was not asked, so as not to hang. */
export const leftOut = (guest: string, why: WhyLeftOut): HypervisorError =>
  new HypervisorError({ code: 'ETIMEDOUT', guest, ...(why.kind === 'stopped' ? STOPPED : othersHang(why.hanging)) });

const STOPPED = {
  message:
    'its QEMU is stopped, or waits for a disk, and it was not asked, so that libvirt goes on answering for others',
  advice:
    'Look at its QEMU (ps -C, column STAT): T goes on with SIGCONT, D with its storage. It is looked at again by itself then',
};

const othersHang = (hanging: number): { readonly message: string; readonly advice: string } => ({
  message: `${hanging} other domains do not answer libvirt, and it was not asked, for it might be one more`,
  advice:
    'Nothing is known to be wrong with it. See which QEMUs hang (virsh domstats --balloon --nowait: those without balloon.rss). It is asked as soon as some go on',
});

/** The question was for several, of which one is not there any more. */
export const endedMeanwhile = (): HypervisorError =>
  new HypervisorError({
    code: 'EIO',
    message: 'a domain ended just when libvirt was asked how it is',
    advice: 'Nothing needs to be done: they are looked at again in the next round',
  });

/** At the end something is still on its way. */
export const stillAsking = (): HypervisorError =>
  new HypervisorError({
    code: 'ETIMEDOUT',
    message: 'a request is still on its way to a domain, and nobody knows whether it will be set',
    advice:
      'Look at the domain with virsh dommemstat and dumpxml, and set what is wrong with virsh setmem and update-memory-device, with --live',
  });

/** What went wrong for all of them, as one guest's. */
export const forGuest = (all: HypervisorError, guest: string): HypervisorError =>
  new HypervisorError({ code: all.code, guest, message: all.message, cause: all });
