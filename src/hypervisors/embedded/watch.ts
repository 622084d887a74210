/**
 * Turns "something changed" into who came and who left, by comparing with what was last told. However slow the listener is,
 * nothing piles up: it hears of the difference since the last time.
 */

export interface RosterChange<Entry> {
  readonly kind: 'came' | 'left';
  readonly id: string;
  readonly entry: Entry;
}

/** First everything that `roster()` has, then each change to it, until `signal` is aborted. */
export async function* watchRoster<Entry>(
  roster: () => ReadonlyMap<string, Entry>,
  subscribe: (listener: () => void) => () => void,
  signal: AbortSignal,
): AsyncIterable<RosterChange<Entry>> {
  const bell = createBell();
  const unsubscribe = subscribe(bell.ring);
  signal.addEventListener('abort', bell.ring);
  let told: ReadonlyMap<string, Entry> = new Map();
  try {
    while (!signal.aborted) {
      const present = new Map(roster());
      yield* changes(told, present);
      told = present;
      // Rung by an abort too, so this ends.
      await bell.wait();
    }
  } finally {
    unsubscribe();
    signal.removeEventListener('abort', bell.ring);
  }
}

/** A guest that was replaced by another of the same name left, and came. */
function* changes<Entry>(
  before: ReadonlyMap<string, Entry>,
  after: ReadonlyMap<string, Entry>,
): Iterable<RosterChange<Entry>> {
  for (const [id, entry] of before) if (after.get(id) !== entry) yield { kind: 'left', id, entry };
  for (const [id, entry] of after) if (before.get(id) !== entry) yield { kind: 'came', id, entry };
}

interface Bell {
  readonly ring: () => void;
  /** Resolves when it has been rung since the last wait. */
  wait(): Promise<void>;
}

function createBell(): Bell {
  let hasRung = false;
  let wake: (() => void) | null = null;
  return {
    ring: () => {
      hasRung = true;
      wake?.();
    },
    wait: async () => {
      if (!hasRung) await new Promise<void>((resolve) => (wake = resolve));
      hasRung = false;
      wake = null;
    },
  };
}
