/**
 * What can go wrong with any hypervisor, in words: what its port promises to reject with. What only one can say, and what to do about it there,
 * is in that one's own `errors.ts`.
 */
import { errorText, HypervisorError, SelfballoonError } from '../errors.js';

/** What failed. */
export interface Failure {
  /** What was being done, as the beginning of a message. */
  readonly doing: string;
  /** Left out: it was done to no single guest. */
  readonly guest?: string;
}

/** Whatever went wrong, as the one error that crosses an adapter's border. */
export function asHypervisorError(cause: unknown, { doing, guest }: Failure): HypervisorError {
  if (cause instanceof HypervisorError) return cause;
  const code = cause instanceof SelfballoonError ? cause.code : 'EIO';
  const message = `${doing}: ${errorText(cause)}`;
  return new HypervisorError({ code, message, cause, ...(guest === undefined ? {} : { guest }) });
}

/** A target that was never asked for. */
export const superseded = (guest: string): HypervisorError =>
  new HypervisorError({
    code: 'EUNAVAILABLE',
    guest,
    message: 'a newer target took the place of this one while it waited, and this one was never asked for',
  });

/** A growth that was never asked for. */
export const growthSuperseded = (guest: string): HypervisorError =>
  new HypervisorError({
    code: 'EUNAVAILABLE',
    guest,
    message: 'something newer was asked to be plugged in while this waited, and this was never asked for',
  });

/** The time is up, for one that waited as for one that was begun. `advice`: what to do about it here. */
export const targetTooSlow = (guest: string, target: number, advice: string): HypervisorError =>
  new HypervisorError({
    code: 'ETIMEDOUT',
    guest,
    message: `asking for ${target} pages had no answer in time`,
    advice,
  });

/** The time is up. `advice`: what to do about it here. */
export const growthTooSlow = (guest: string, plugged: number, advice: string): HypervisorError =>
  new HypervisorError({
    code: 'ETIMEDOUT',
    guest,
    message: `asking to have ${plugged} pages plugged in had no answer in time`,
    advice,
  });

/** A target that must never be asked for. `unit`: in which it would have been. */
export const impossibleTarget = (guest: string, target: number, unit: 'bytes' | 'KiB'): HypervisorError =>
  new HypervisorError({
    code: 'EINVAL',
    guest,
    message: `a target of ${target} pages was wanted and not asked for: it is 0 or not below 2^53 ${unit}`,
    advice: 'This is a fault of the program; please report it',
  });

/** What can never be plugged in. `gone`: what one says here of a device that is there no more. */
export const impossibleGrowth = (guest: string, plugged: number, gone: 'detached' | 'unplugged'): HypervisorError =>
  new HypervisorError({
    code: 'EINVAL',
    guest,
    message: `${plugged} pages were to be plugged in and were not asked for: they are no whole blocks, or more than there can be`,
    advice: `Were memory devices ${gone} just now? Otherwise this is a fault of the program; please report it`,
  });

/** Nobody says what each device has now, and so there is no telling which of them to ask. */
export const unknownGrowth = (guest: string): HypervisorError =>
  new HypervisorError({
    code: 'EIO',
    guest,
    message:
      'nothing was asked to be plugged in or out, for it is not known what is plugged into each of its memory devices',
  });

/** Nothing of the kind is there. `from`: where it was to be shrunk from. */
export const noOverflow = (guest: string, from: string): HypervisorError =>
  new HypervisorError({
    code: 'ENODEV',
    guest,
    message: `its overflow tier is inside the guest, and cannot be shrunk from ${from}`,
    advice: 'Run selfballoon in the guest for that',
  });
