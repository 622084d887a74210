/**
 * Waiting with a time limit, for things that cannot be stopped themselves. Plain plumbing of promises: it knows neither clocks
 * nor what is waited for.
 */

/** Resolves when `signal` is aborted. Never rejects. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const onAbort = (): void => {
      resolve();
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** Settles as `work` does, or resolves as soon as `signal` is aborted. `work` then goes on. */
export function endedOrAborted(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      signal.removeEventListener('abort', end);
      resolve();
    };
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
    work.then(end, reject);
  });
}

/**
 * Settles as `work` does, or rejects with what `outOfTime` makes as soon as `signal` is aborted. `work` then goes on, and its own
 * end is nobody's rejection any more: whoever started it keeps what it left behind.
 */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal, outOfTime: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      reject(outOfTime());
    };
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    const end = (): void => {
      signal.removeEventListener('abort', onAbort);
    };
    work.then(
      (value) => {
        end();
        resolve(value);
      },
      (error: unknown) => {
        end();
        reject(error instanceof Error ? error : new Error(String(error)));
      },
    );
  });
}
