/**
 * The ways to end the daemon, all of which lead through giving back: signals, a lost terminal, and our own mistakes. Before it
 * runs there is nothing to give back, and a signal ends it at once.
 */
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
/**
 * Whoever hands a signal on, as `timeout` and `npm` do, and sends it to the whole group besides, means one; and what ends a child of ours may
 * reach us by its end first.
 */
const ONE_SIGNAL_MS = 500;

/**
 * Listens for the process's signals and unhandled errors from now on. A signal that is heard half a second after the end has begun, by another
 * one or by a mistake of our own, ends the process at once. What comes until then is the same; so is what comes while the process is too
 * busy to hear of anything.
 */
export function listenForStop(): Stop {
  const stopping = new AbortController();
  let isArmed = false;
  let failure: Error | null = null;
  let isSame = true;
  const begin = (): void => {
    if (stopping.signal.aborted) return;
    afterWhatCame(ONE_SIGNAL_MS, () => (isSame = false));
    stopping.abort();
  };
  const onSignal = (): void => {
    if (!isArmed) process.exit(EXIT_AT_ONCE);
    if (isSame) begin();
    else void exitNow(EXIT_AT_ONCE);
  };
  const onFailure = (error: unknown): void => {
    if (!isArmed) throw error;
    failure ??= error instanceof Error ? error : new Error(errorText(error));
    begin();
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

/**
 * Calls after so long, and after the signals that came until then: a daemon at work hears of them late, and timers are called before them.
 * Does not hold the process while it waits.
 */
function afterWhatCame(ms: number, call: () => void): void {
  setTimeout(() => setImmediate(call), ms).unref();
}
