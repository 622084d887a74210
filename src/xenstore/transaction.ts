/**
 * A transaction: what is done in it is seen by others all at once or not at all. xenstored refuses it when others changed the same
 * nodes meanwhile (EAGAIN); then the whole of it is done again, a bounded number of times. It does not know what is done inside.
 */
import type { Clock } from '../control/ports.js';
import { addMillis, millis } from '../units.js';
import { decodeOk, decodeTransactionId } from './answers.js';
import { encodeStrings } from './codec.js';
import { gaveUp, invalid, named, XenstoreError } from './errors.js';
import type { Request } from './exchange.js';
import { storeOver, type Ask, type Store } from './store.js';

export interface TransactionOptions {
  /** For the whole of it, retries too: when it is aborted the call rejects with ETIMEDOUT. Without it each request has its own limit. */
  readonly signal?: AbortSignal | undefined;
  /** How often it is tried: 1 or more, default 10. */
  readonly attemptsMax?: number;
}

const ATTEMPTS_MAX = 10;
/** The second attempt follows at once, later ones after 1, 2, 4 … 64 ms: whoever stands in the way needs time too. */
const PAUSE_MS_MAX = 64;

/** What a transaction is run over. */
interface Ground {
  readonly ask: Ask;
  readonly clock: Clock;
}

/**
 * Runs `body` in a transaction and commits it. `body` is called again, with a new store, when the commit meets EAGAIN: it must do
 * nothing that cannot be done twice. What it throws undoes everything and is thrown on. A commit that meets ETIMEDOUT or EUNAVAILABLE
 * may have happened or not.
 */
export async function runTransaction<T>(
  { ask, clock }: Ground,
  body: (store: Store) => Promise<T>,
  { signal, attemptsMax = ATTEMPTS_MAX }: TransactionOptions = {},
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await attemptOnce(ask, body, signal);
    if (outcome.kind === 'committed') return outcome.result;
    if (attempt >= attemptsMax) throw tooContended(attempt, outcome.error);
    if (attempt > 1) await pause(clock, attempt, signal);
  }
}

type Outcome<T> =
  { readonly kind: 'committed'; readonly result: T } | { readonly kind: 'conflict'; readonly error: XenstoreError };

async function attemptOnce<T>(
  ask: Ask,
  body: (store: Store) => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<Outcome<T>> {
  const transactionId = await start(ask, signal);
  let isOver = false;
  const askInside: Ask = (request, options) =>
    // xenstored gives the id to another transaction later on.
    isOver
      ? Promise.reject(invalid(`${named(request)} came after the end of its transaction`))
      : ask({ ...request, transactionId }, { ...options, signal: options?.signal ?? signal });
  let result: T;
  try {
    result = await body(storeOver(askInside));
  } catch (error) {
    isOver = true;
    await abandon(ask, transactionId);
    throw error;
  }
  isOver = true;
  const error = await commit(ask, transactionId, signal);
  return error === null ? { kind: 'committed', result } : { kind: 'conflict', error };
}

async function start(ask: Ask, signal: AbortSignal | undefined): Promise<number> {
  const subject: Request = { operation: 'TRANSACTION_START', subject: '', payload: encodeStrings('') };
  const onLate = (payload: Buffer): void => {
    void abandon(ask, decodeTransactionId(payload, subject));
  };
  return decodeTransactionId(await ask(subject, { signal, onLate }), subject);
}

const ending = (transactionId: number, how: 'T' | 'F'): Request => ({
  operation: 'TRANSACTION_END',
  subject: '',
  transactionId,
  payload: encodeStrings(how),
});

/** Gives the error when it was a conflict, and throws all others. */
async function commit(ask: Ask, transactionId: number, signal: AbortSignal | undefined): Promise<XenstoreError | null> {
  const request = ending(transactionId, 'T');
  try {
    decodeOk(await ask(request, { signal }), request);
    return null;
  } catch (error) {
    if (error instanceof XenstoreError && error.xenstoreCode === 'EAGAIN') return error;
    // What was never sent leaves the transaction open. After a sent one the id may already be that of another transaction.
    if (isUnsent(error)) void abandon(ask, transactionId);
    throw error;
  }
}

const isUnsent = (error: unknown): boolean =>
  error instanceof XenstoreError && error.xenstoreCode === 'ETIMEDOUT' && !error.mayHaveHappened;

/**
 * Discards a transaction. Nobody can do anything about a failure: without an answer nothing of it is seen by others either, and
 * with the connection xenstored forgets it.
 */
async function abandon(ask: Ask, transactionId: number): Promise<void> {
  await ask(ending(transactionId, 'F')).catch(() => undefined);
}

async function pause(clock: Clock, attempt: number, signal = new AbortController().signal): Promise<void> {
  const length = millis(Math.min(2 ** (attempt - 2), PAUSE_MS_MAX));
  await clock.sleepUntil(addMillis(clock.now(), length), signal);
  if (signal.aborted) throw gaveUp({ operation: 'a transaction', subject: '' }, false, signal.reason);
}

const tooContended = (attempts: number, cause: XenstoreError): XenstoreError =>
  new XenstoreError({
    xenstoreCode: 'EAGAIN',
    message: `a transaction met changes by others each of ${attempts} times`,
    advice: 'Others change the same nodes all the time; try again later',
    cause,
  });
