/** Waiting for something in a guest, no longer than there is a guest, and connecting to a guest's port. */
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { tryConnect } from '../connect.js';

/** Who may be waited for: something that can end, and that has words to say when it does. */
export interface Watched {
  /** Resolves when it has ended. */
  readonly ended: Promise<void>;
  /** For errors: what it said last. */
  readonly lastWords: () => string;
}

export interface Wait {
  readonly limitMs: number;
  /** What did not come about, as the beginning of a sentence. */
  readonly what: string;
}

const CONNECT_TRIES = 200;
const CONNECT_PAUSE_MS = 100;

/** What `work` gives; throws with the last words when the time is over or `watched` has ended before. */
export async function within<T>(watched: Watched, work: Promise<T>, { limitMs, what }: Wait): Promise<T> {
  const waiting = new AbortController();
  const tooLate = sleep(limitMs, undefined, { signal: waiting.signal }).then(() => {
    throw trouble(watched, `${what} within ${limitMs / 1_000} s`);
  });
  const ended = watched.ended.then(() => {
    throw trouble(watched, `${what}: the machine has ended`);
  });
  for (const other of [tooLate, ended]) other.catch(() => undefined);
  try {
    return await Promise.race([work, tooLate, ended]);
  } finally {
    waiting.abort();
  }
}

export const trouble = (watched: Watched, what: string): Error =>
  new Error(`${what}; last words:\n${watched.lastWords()}`);

/** Connects to a unix socket that may not be there yet; throws when it does not come within 20 s. Its later errors are its end only. */
export async function connectPort(path: string, watched: Watched): Promise<Socket> {
  for (let tries = 0; tries < CONNECT_TRIES; tries += 1) {
    const socket = await tryConnect(path);
    if (socket !== null) return socket;
    await sleep(CONNECT_PAUSE_MS);
  }
  throw trouble(watched, `nobody listens at ${path}`);
}
