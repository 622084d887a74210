/**
 * The ways to end the daemon, all of which lead through giving back: signals, a lost terminal, and our own mistakes. Before it
 * runs there is nothing to give back, and a signal ends it at once.
 */
import { performance } from 'node:perf_hooks';
import { errorText } from '../../errors.js';
import { exitNow } from '../../posix/exit.js';

/** Aborted when it is time to go. */
export interface Stop {
  readonly signal: AbortSignal;
  /** From now on there is something to give back. */
  arm(): void;
  /** What ended it that should not have happened; null after a signal. */
  readonly failure: Error | null;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** A shell's code for "ended by SIGINT". */
const EXIT_AT_ONCE = 130;
/** Whoever hands a signal on, as `timeout` and `npm` do, and sends it to the whole group besides, means one. */
const ONE_SIGNAL_MS = 500;

/**
 * Listens for the process's signals and unhandled errors from now on. A second signal ends the process at once, where it comes more than
 * half a second after the first.
 */
export function listenForStop(): Stop {
  const stopping = new AbortController();
  let isArmed = false;
  let failure: Error | null = null;
  let signalledAt: number | null = null;
  const onSignal = (): void => {
    if (!isArmed) process.exit(EXIT_AT_ONCE);
    const isSame = signalledAt !== null && performance.now() - signalledAt < ONE_SIGNAL_MS;
    if (stopping.signal.aborted && !isSame) void exitNow(EXIT_AT_ONCE);
    signalledAt ??= performance.now();
    stopping.abort();
  };
  const onFailure = (error: unknown): void => {
    if (!isArmed) throw error;
    failure ??= error instanceof Error ? error : new Error(errorText(error));
    stopping.abort();
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  process.on('uncaughtException', onFailure);
  process.on('unhandledRejection', onFailure);
  return {
    signal: stopping.signal,
    arm: () => {
      isArmed = true;
    },
    get failure() {
      return failure;
    },
  };
}
