/**
 * A connection to xenstored that counts as lost when xenstored answers no more: such a one stays open, says nothing, and nobody hears of
 * any change. It does not know what else is asked over it.
 */
import type { Clock } from '../../control/ports.js';
import { millis } from '../../units.js';
import { XenstoreError, type Xenstore } from '../../xenstore/index.js';

export interface AttendedStore extends Xenstore {
  /** Asks for something small, one at a time. Where no answer comes within 5 s the connection is ended as lost. */
  readonly ping: () => void;
}

/** It answers in microseconds. As long as the executor waits for an answer to any call. */
const ANSWER_LIMIT = millis(5_000);
const DOM0 = 0;

/** Attends to `store`, as often as it is told to. */
export function attend(store: Xenstore, clock: Clock): AttendedStore {
  let isAsking = false;
  const ask = async (): Promise<void> => {
    isAsking = true;
    try {
      await store.isDomainIntroduced(DOM0, { signal: clock.timeLimit(ANSWER_LIMIT) });
    } catch (error) {
      // Any other word is an answer, or the connection has ended already.
      if (!(error instanceof XenstoreError) || error.xenstoreCode !== 'ETIMEDOUT') return;
      await store.close(hasHung(error));
    } finally {
      isAsking = false;
    }
  };
  return {
    ...store,
    ping: () => {
      if (!isAsking) void ask();
    },
  };
}

const hasHung = (cause: XenstoreError): XenstoreError =>
  new XenstoreError({
    xenstoreCode: 'ETIMEDOUT',
    message: `xenstored has not answered for ${ANSWER_LIMIT / 1_000} s`,
    advice: 'It hangs, or dom0 is short of memory or of processor time; see whether it answers others (xenstore-ls)',
    cause,
  });
