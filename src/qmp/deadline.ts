/** The end of a wait: when its time is up, or its caller gives up. */
import type { Clock } from '../control/ports.js';
import type { Millis } from '../units.js';

export interface Deadline {
  readonly clock: Clock;
  /** 0 or more. */
  readonly limit: Millis;
  readonly signal?: AbortSignal | undefined;
}

/** Calls `giveUp` with the reason, once, unless what it returns was called before. */
export function startDeadline({ clock, limit, signal }: Deadline, giveUp: (cause: unknown) => void): () => void {
  const onAbort = (): void => {
    stop();
    giveUp(signal?.reason);
  };
  const timer = clock.timer(() => {
    stop();
    giveUp(`the limit of ${limit} ms passed`);
  });
  const stop = (): void => {
    timer.clear();
    signal?.removeEventListener('abort', onAbort);
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  timer.set(limit);
  return stop;
}
