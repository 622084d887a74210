/**
 * Which domains' polling begins anew before a look: a few before each, those first whose turn was longest ago, for libvirt takes one command
 * after the other. It does not know how that is done.
 */
import { endedOrAborted } from '../../waiting/abort.js';
import { beatFrom, type Beat } from '../../control/beat.js';
import type { Clock, Timer } from '../../control/ports.js';
import { askAt, isDueAnew, isInTime } from '../../signals/polling-phase.js';
import { millis, type Millis } from '../../units.js';
import type { StatsPolling } from './stats-polling.js';

/** 200 domains have their turn every 25 rounds then; polling keeps its place for longer. */
const AT_ONCE_MAX = 8;
/** No turn begins so shortly before the look: a domain that somebody is busy with is left out of it. */
const QUIET_BEFORE = millis(15);

export interface PollingRoundsOptions {
  readonly clock: Clock;
  /** Of all domains. */
  readonly beat: Beat;
  readonly pollings: () => readonly StatsPolling[];
  /** Resolves when that is over, well or not. */
  readonly beginAnew: (polling: StatsPolling, until: Millis) => Promise<void>;
}

export class PollingRounds {
  readonly #options: PollingRoundsOptions;
  readonly #timer: Timer;
  #dueAt = millis(0);

  constructor(options: PollingRoundsOptions) {
    this.#options = options;
    this.#timer = options.clock.timer(() => {
      void this.#beginSome();
    });
  }

  /** All domains are looked at, now and on their beat. */
  follow(): void {
    const now = this.#options.clock.now();
    this.#dueAt = askAt(this.#options.beat, now);
    this.#timer.set(millis(this.#dueAt - now));
  }

  /** Nothing begins anew any more. */
  end(): void {
    this.#timer.clear();
  }

  /** One after the other, as libvirt takes them, until the look is near; whoever is left has his turn before the next one. */
  async #beginSome(): Promise<void> {
    const { clock, beat, pollings, beginAnew } = this.#options;
    if (!isInTime(this.#dueAt, clock.now())) return;
    const until = millis(beatFrom(this.#dueAt, beat) - QUIET_BEFORE);
    const due = pollings().filter(
      ({ isNeeded, isBeginning, begun }) => isNeeded && !isBeginning && isDueAnew(begun, until),
    );
    due.sort((one, other) => (one.turnAt ?? 0) - (other.turnAt ?? 0));
    const isLate = new AbortController();
    void clock.sleepUntil(until, isLate.signal).then(() => {
      isLate.abort();
    });
    for (const polling of due.slice(0, AT_ONCE_MAX)) {
      await endedOrAborted(beginAnew(polling, until), isLate.signal);
      if (isLate.signal.aborted) return;
    }
    isLate.abort();
  }
}
