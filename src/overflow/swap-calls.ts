/**
 * swapon(2) and swapoff(2), off the event loop. This file knows how they are made and what their errors mean for a person; it decides
 * nothing. The library that makes calls in this process is loaded at the first one, so that a daemon without swap stripes does not pay for it.
 *
 * Whoever calls swapoff is the first that the kernel kills when memory runs out meanwhile, whatever its `oom_score_adj` (`oom_task_origin` in
 * Linux's mm/oom_kill.c): the pages must come home into memory that is not there. That must not be the daemon, so the tool `swapoff` is
 * started for it, as long as there is one.
 */
import { execFile, type ExecFileException } from 'node:child_process';
import type { KoffiFunc } from 'koffi';
import { errorText, SelfballoonError } from '../errors.js';
import { describeSwapError, type SwapCall } from './swap-errors.js';

/** The two system calls. Both reject with `SelfballoonError`, and neither can be aborted once begun. */
export interface SwapCalls {
  /** Switches swapping to `device` on. `priority`: 0 to 32,767, highest used first; below 0 the kernel numbers it itself. */
  swapOn(device: string, priority: number): Promise<void>;
  /** Brings all pages of `device` home and switches it off. Takes as long as that takes: seconds, or minutes from a disk. */
  swapOff(device: string): Promise<void>;
}

/** swapon(2): the low bits of the flags hold a priority. */
const SWAP_FLAG_PREFER = 0x8000;
/** swapon(2): 15 bits of priority. */
const SWAP_FLAG_PRIO_MASK = 0x7fff;

type LibcCall = (device: string, flags: number) => number;
type SwapOffCall = (device: string) => number;

interface Libc {
  readonly swapOn: KoffiFunc<LibcCall>;
  readonly swapOff: KoffiFunc<SwapOffCall>;
  readonly errno: () => number;
  readonly errnoName: (errno: number) => string;
}

/** The flags of swapon(2) for a priority. Throws `EINVAL` for one that does not fit its 15 bits. */
export function swapOnFlags(priority: number): number {
  if (priority < 0) return 0;
  if (!Number.isInteger(priority) || priority > SWAP_FLAG_PRIO_MASK) {
    throw new SelfballoonError({
      code: 'EINVAL',
      message: `${priority} is not a swap priority`,
      advice: `Use a whole number from 0 to ${SWAP_FLAG_PRIO_MASK}`,
    });
  }
  return SWAP_FLAG_PREFER + priority;
}

/** The real calls, of the tool `swapoff` where there is one, and through the C library of this process. Needs the administrator's right (`CAP_SYS_ADMIN`). */
export function realSwapCalls(tool = TOOL): SwapCalls {
  let loading: Promise<Libc> | null = null;
  const libc = (): Promise<Libc> => (loading ??= loadLibc());
  return {
    swapOn: async (device, priority) => {
      const flags = swapOnFlags(priority);
      const c = await libc();
      await finished(c, { call: 'swapon', device }, (done) => {
        c.swapOn.async(device, flags, done);
      });
    },
    swapOff: async (device) => {
      if ((await runTool(tool, device)) === 'done') return;
      const c = await libc();
      await finished(c, { call: 'swapoff', device }, (done) => {
        c.swapOff.async(device, done);
      });
    },
  };
}

/** Of util-linux or BusyBox. */
const TOOL = 'swapoff';
/** What the C library says in the C locale, and its names; also what util-linux says itself. */
const SAID: readonly (readonly [RegExp, string])[] = [
  [/Operation not permitted|Not superuser/, 'EPERM'],
  [/No such file or directory|No such device/, 'ENOENT'],
  [/Invalid argument/, 'EINVAL'],
  [/Cannot allocate memory|Out of memory/, 'ENOMEM'],
];

/** `missing`: there is no such tool. Rejects with `SelfballoonError` where it failed. */
function runTool(tool: string, device: string): Promise<'done' | 'missing'> {
  return new Promise((resolve, reject) => {
    const end = (error: ExecFileException | null, said: string): void => {
      if (error === null) resolve('done');
      else if (error.code === 'ENOENT' || error.code === 'EACCES') resolve('missing');
      else reject(describeSwapError('swapoff', device, failureOf(error, said)));
    };
    try {
      // `C`: what it says is looked at.
      execFile(tool, [device], { env: { ...process.env, LC_ALL: 'C' } }, (error, _, said) => {
        end(error, said);
      });
    } catch (error) {
      // There is not even memory for another process.
      end(error instanceof Error ? error : new Error(errorText(error)), '');
    }
  });
}

/** Killed by the kernel for want of memory it has failed as the call does where it notices that in time. */
function failureOf({ signal, code, message }: ExecFileException, said: string): string {
  if (signal === 'SIGKILL') return 'ENOMEM';
  if (typeof code === 'string') return code;
  return SAID.find(([words]) => words.test(said))?.[1] ?? (said.trim().split('\n')[0] || message);
}

async function loadLibc(): Promise<Libc> {
  const { default: koffi } = await import('koffi');
  // No file name: the symbols of this very process, whichever C library it runs on.
  const library = koffi.load(null);
  const names = new Map(Object.entries(koffi.os.errno).map(([name, value]) => [value, name]));
  return {
    swapOn: library.func('swapon', 'int', ['str', 'int']),
    swapOff: library.func('swapoff', 'int', ['str']),
    errno: () => koffi.errno(),
    errnoName: (errno) => names.get(errno) ?? `error ${errno}`,
  };
}

interface Made {
  readonly call: SwapCall;
  readonly device: string;
}

/**
 * Waits for a call that was started on another thread. `errno` belongs to a thread: koffi carries the value over for the
 * length of the callback only, so it is read there, before anything else is called.
 */
function finished(
  libc: Libc,
  made: Made,
  start: (done: (error: unknown, result: number) => void) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error, result) => {
      const errno = libc.errno();
      if (error === null && result === 0) {
        resolve();
        return;
      }
      reject(describeSwapError(made.call, made.device, error === null ? libc.errnoName(errno) : errorText(error)));
    });
  });
}
