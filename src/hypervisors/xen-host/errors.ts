/** What can go wrong with domains seen from dom0, in words and with what to do. */
import { errorText, HypervisorError } from '../../errors.js';
import type { SightSource } from './sight.js';

/** A look at the host's memory did not end in time. */
export const lookTooSlow = ({ description, ifSlow }: Pick<SightSource, 'description' | 'ifSlow'>): HypervisorError =>
  new HypervisorError({
    code: 'ETIMEDOUT',
    message: `the look at the host's memory through ${description} was not finished in time`,
    advice: ifSlow,
  });

/** The domain is not there, or not any more. */
export const goneDomain = (guest: string, seen: string): HypervisorError =>
  new HypervisorError({ code: 'EGONE', guest, message: `there is no such domain (any more): ${seen}` });

/** The domain is only watched. */
export const onlyWatched = (guest: string): HypervisorError =>
  new HypervisorError({
    code: 'EPERM',
    guest,
    message: 'dom0 is only watched, and its size cannot be set',
    advice: 'Set xen_host.drive_dom0 to true if it is to be driven',
  });

/** There is no connection to xenstored at the moment. */
export const noStore = (guest: string, why: string): HypervisorError =>
  new HypervisorError({
    code: 'EUNAVAILABLE',
    guest,
    message: `it cannot be asked for anything, as there is no connection to xenstored: ${why}`,
    advice: 'It is connected to again by itself; see that xenstored runs',
  });

/**
 * What others wrote while there was no connection may be missing from what the growth was counted with. Nothing was begun, and the code
 * says so: after EUNAVAILABLE it would stay a promise, as one that may have got through, for as long as the guest asks for nothing else.
 */
export const notSeenSince = (guest: string): HypervisorError =>
  new HypervisorError({
    code: 'EIO',
    guest,
    message: 'it cannot be given more yet: the host has not been looked at since the connection to xenstored was made',
    advice: 'It is asked again in the next round',
  });

/** The time is up, for one that waited as for one that was begun. */
export const targetTooSlow = (guest: string, target: number): HypervisorError =>
  new HypervisorError({
    code: 'ETIMEDOUT',
    guest,
    message: `setting it to ${target} pages was not finished in time`,
    advice: 'See whether xenstored hangs; it is asked again in the next round',
  });

/** It failed, and the guest may be able to take what it was to have all the same: whoever made a promise must keep it. */
export const perhapsSet = (guest: string, doing: string, cause: unknown): HypervisorError =>
  new HypervisorError({
    code: 'EUNAVAILABLE',
    guest,
    message: `nobody knows what it may hold now: ${doing}: ${errorText(cause)}`,
    advice: 'It is asked again in the next round',
    cause,
  });

/** It was never asked for. */
export const superseded = (guest: string): HypervisorError =>
  new HypervisorError({
    code: 'EUNAVAILABLE',
    guest,
    message: 'a newer target took the place of this one while it waited, and this one was never set',
  });

/** At the end something is still on its way. */
export const stillAsking = (): HypervisorError =>
  new HypervisorError({
    code: 'ETIMEDOUT',
    message: 'a target is still on its way to xenstored or to Xen, and nobody knows whether it will be set',
    advice: 'Look at the domains with `xl list`, and set what is wrong with `xl mem-set`',
  });

/** Nothing is looked at any more. */
export const closed = (): HypervisorError =>
  new HypervisorError({ code: 'EUNAVAILABLE', message: 'the host is not looked at any more: it was closed' });

/** A target that must never be written. */
export const impossibleTarget = (guest: string, target: number): HypervisorError =>
  new HypervisorError({
    code: 'EINVAL',
    guest,
    message: `a target of ${target} pages was asked for and not written: it is 0 or not below 2^53 KiB`,
    advice: 'This is a fault of the program; please report it',
  });
