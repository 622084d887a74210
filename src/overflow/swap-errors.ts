/** What a failed swapon(2) or swapoff(2), or a failed shrinking, means, and what to do about it. Names in, sentences out. */
import { errorText, SelfballoonError, type ErrorCode } from '../errors.js';
import type { Millis } from '../units.js';
import { saySeconds } from './sentences.js';

export type SwapCall = 'swapon' | 'swapoff';

interface Meaning {
  readonly code: ErrorCode;
  readonly advice: (device: string) => string;
}

const ROOT: Meaning = {
  code: 'EPERM',
  advice: () => 'Run it as root (CAP_SYS_ADMIN), or take the [overflow] section out of the configuration',
};

const MEANINGS: Readonly<Record<SwapCall, ReadonlyMap<string, Meaning>>> = {
  swapon: new Map<string, Meaning>([
    ['EPERM', ROOT],
    ['ENOENT', { code: 'ENOENT', advice: () => 'Check the path; a zram device needs its module loaded first' }],
    ['EINVAL', { code: 'EINVAL', advice: (device) => `Prepare it with: mkswap ${device} (this erases what is on it)` }],
    ['EBUSY', { code: 'EIO', advice: () => 'It is mounted or swapped on already: see /proc/swaps and /proc/mounts' }],
    ['ENOMEM', { code: 'ENOMEM', advice: () => 'It is tried again later' }],
  ]),
  swapoff: new Map<string, Meaning>([
    ['EPERM', ROOT],
    ['ENOENT', { code: 'ENOENT', advice: () => 'Check the path; it may have been removed' }],
    ['EINVAL', { code: 'EINVAL', advice: () => 'It is not in use for swapping any more: see /proc/swaps' }],
    [
      'ENOMEM',
      { code: 'ENOMEM', advice: () => 'Its pages stay where they are; it is tried again when memory is free' },
    ],
  ]),
};

/** The error for a call that failed with the C library's error `name` (`ENOENT` …). */
export function describeSwapError(call: SwapCall, device: string, name: string): SelfballoonError {
  const meaning = MEANINGS[call].get(name);
  return new SelfballoonError({
    code: meaning?.code ?? 'EIO',
    message: `${call} of ${device} failed: ${name}`,
    advice: meaning?.advice(device) ?? 'See the kernel log (dmesg) for the reason',
  });
}

/** Whatever a call threw, as an error with a code; an error of ours stays what it is. */
export function asSelfballoonError(error: unknown): SelfballoonError {
  if (error instanceof SelfballoonError) return error;
  return new SelfballoonError({ code: 'EIO', message: errorText(error), cause: error });
}

export const closedError = (): SelfballoonError =>
  new SelfballoonError({ code: 'EUNAVAILABLE', message: 'the swap stripes are closed' });

/** The caller's time was up. `emptying` is the stripe being emptied then, null when none was. */
export function outOfTime(emptying: string | null): SelfballoonError {
  const what = emptying === null ? 'the swap stripes' : `${emptying}, for swapoff cannot be aborted`;
  return new SelfballoonError({
    code: 'ETIMEDOUT',
    message: `shrinking the overflow tier was not finished in time; it goes on with ${what}`,
    advice: 'A stripe that is off is switched on again when it is empty; nothing needs to be done',
  });
}

/** A stripe was emptied `after` that long, and is off although it should be on. */
export function notPutBack(device: string, after: Millis, error: SelfballoonError | null): SelfballoonError {
  return new SelfballoonError({
    code: 'EIO',
    message: `${device} was emptied in ${saySeconds(after)} and could not be switched on again: ${error?.message ?? 'no reason given'}`,
    advice: `It is tried again at the next looks; until then there is less room for swapped pages. By hand: swapon ${device}`,
    cause: error,
  });
}
