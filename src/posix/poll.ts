/**
 * Waits for file descriptors with poll(2), off the event loop: for kernel files of which Node.js has no events of its own
 * (pressure triggers, Xen's bus device). It knows how to wait and how to be woken; what a descriptor means is its caller's.
 *
 * The wait takes one of the thread pool's threads for as long as it lasts. koffi is loaded at the first wait only. Node.js waits
 * for those threads when the process ends, also after an exception that nobody caught; so every wait is woken then.
 */
import { closeSync, readSync, writeSync } from 'node:fs';
import { errorText, SelfballoonError } from '../errors.js';

/** What poll(2) is asked for, and what it answers besides. From asm-generic/poll.h. */
const POLLIN = 0x001;
const POLLPRI = 0x002;
const POLLERR = 0x008;
const POLLHUP = 0x010;
const POLLNVAL = 0x020;

/** From bits/eventfd.h: O_CLOEXEC and O_NONBLOCK. */
const EFD_FLAGS = 0o2004000;
const EINTR = 4;
/** `struct pollfd`: a 32-bit descriptor, and 16 bits each of what is asked for and what came. */
const POLLFD_BYTES = 8;
const FOREVER = -1;

export type PollInterest = 'readable' | 'priority';

/**
 * - `ready`: what was asked for has come
 * - `failed`: the descriptor has an error, was hung up or is not open; it will not become ready any more
 * - `woken`: somebody called `wake`
 */
export type PollOutcome = 'ready' | 'failed' | 'woken';

export interface Poller {
  /** Waits once. One wait at a time. Rejects with `SelfballoonError` `EIO` when poll(2) itself fails. */
  wait(): Promise<PollOutcome>;
  /** Ends the wait that is under way, or the next one. */
  wake(): void;
  /** Wakes, waits for the wait under way to end, and gives its own descriptor back (not the one that is waited for). */
  close(): Promise<void>;
}

/** Makes a poller for one open descriptor, which stays the caller's. Throws `EUNAVAILABLE` where poll(2) cannot be called. */
export async function openPoller(descriptor: number, interest: PollInterest): Promise<Poller> {
  const c = await (libc ??= loadLibc());
  const waker = c.eventfd(0, EFD_FLAGS);
  if (waker < 0) {
    throw new SelfballoonError({
      code: 'EUNAVAILABLE',
      message: `no event descriptor could be made: errno ${c.errno()}`,
    });
  }
  return new DescriptorPoller(c, { descriptor, waker, events: interest === 'readable' ? POLLIN : POLLPRI });
}

interface Watched {
  readonly descriptor: number;
  readonly waker: number;
  readonly events: number;
}

class DescriptorPoller implements Poller {
  readonly #c: Libc;
  readonly #watched: Watched;
  readonly #set = Buffer.alloc(2 * POLLFD_BYTES);
  #waiting: Promise<PollOutcome> | null = null;
  #isClosed = false;

  constructor(c: Libc, watched: Watched) {
    this.#c = c;
    this.#watched = watched;
    this.#set.writeInt32LE(watched.descriptor, 0);
    this.#set.writeInt16LE(watched.events, 4);
    this.#set.writeInt32LE(watched.waker, POLLFD_BYTES);
    this.#set.writeInt16LE(POLLIN, POLLFD_BYTES + 4);
  }

  wait(): Promise<PollOutcome> {
    if (this.#isClosed) return Promise.resolve('woken');
    this.#waiting ??= this.#poll().finally(() => (this.#waiting = null));
    return this.#waiting;
  }

  wake(): void {
    if (!this.#isClosed) writeSync(this.#watched.waker, ONE);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.wake();
    this.#isClosed = true;
    await this.#waiting?.catch(() => undefined);
    closeSync(this.#watched.waker);
  }

  async #poll(): Promise<PollOutcome> {
    wakeAtExit.add(this);
    try {
      return await this.#pollOnce();
    } finally {
      wakeAtExit.delete(this);
    }
  }

  async #pollOnce(): Promise<PollOutcome> {
    for (;;) {
      this.#set.writeInt16LE(0, 6);
      this.#set.writeInt16LE(0, POLLFD_BYTES + 6);
      const { count, errno } = await this.#c.poll(this.#set, 2, FOREVER);
      if (count >= 0) return this.#outcome();
      if (errno !== EINTR) {
        throw new SelfballoonError({ code: 'EIO', message: `waiting for a descriptor failed: errno ${errno}` });
      }
    }
  }

  #outcome(): PollOutcome {
    const came = this.#set.readInt16LE(6);
    const woken = this.#set.readInt16LE(POLLFD_BYTES + 6);
    if (woken !== 0) readSync(this.#watched.waker, Buffer.alloc(ONE.length));
    if ((came & (POLLERR | POLLHUP | POLLNVAL)) !== 0) return 'failed';
    return (came & this.#watched.events) !== 0 ? 'ready' : 'woken';
  }
}

/** Those that wait now. One listener for all of them, so that many pollers are no crowd of listeners. */
const wakeAtExit = new Set<Poller>();
process.on('exit', () => {
  for (const poller of wakeAtExit) poller.wake();
});

/** What is added to an event descriptor's counter: a 64-bit 1. */
const ONE = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);

interface Libc {
  readonly eventfd: (count: number, flags: number) => number;
  readonly poll: (
    set: Buffer,
    count: number,
    timeoutMs: number,
  ) => Promise<{ readonly count: number; readonly errno: number }>;
  readonly errno: () => number;
}

let libc: Promise<Libc> | null = null;

async function loadLibc(): Promise<Libc> {
  try {
    const { default: koffi } = await import('koffi');
    const c = koffi.load(null);
    const poll = c.func('int poll(_Inout_ uint8_t *set, unsigned long count, int timeout)');
    return {
      eventfd: c.func('int eventfd(unsigned int count, int flags)'),
      poll: (set, count, timeoutMs) =>
        new Promise((resolve, reject) => {
          poll.async(set, count, timeoutMs, (error: unknown, found: number) => {
            if (error instanceof Error) reject(error);
            else resolve({ count: found, errno: koffi.errno() });
          });
        }),
      errno: () => koffi.errno(),
    };
  } catch (cause) {
    libc = null;
    throw new SelfballoonError({
      code: 'EUNAVAILABLE',
      message: `poll(2) cannot be called: ${errorText(cause)}`,
      advice: 'Install the package koffi for this architecture',
      cause,
    });
  }
}
