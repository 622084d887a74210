/**
 * Which domains' polling begins anew before a look: a few before each, those first whose turn was longest ago, for libvirt takes one command
 * after the other. It does not know how that is done.
 */
import type { Beat } from '../../control/beat.js';
import type { Clock, Timer } from '../../control/ports.js';
import { askAt, isDueAnew } from '../../signals/polling-phase.js';
import { millis, type Millis } from '../../units.js';
import type { StatsPolling } from './stats-polling.js';

/**
 * Two commands for each take some 3 ms on a quiet host, and they should be over before the look. 200 domains have their turn every 25 rounds
 * then; polling keeps its place for longer.
 */
const AT_ONCE_MAX = 8;

export interface PollingRoundsOptions {
  readonly clock: Clock;
  /** Of all domains. */
  readonly beat: Beat;
  readonly pollings: () => readonly StatsPolling[];
  readonly beginAnew: (polling: StatsPolling, now: Millis) => void;
}

export class PollingRounds {
  readonly #options: PollingRoundsOptions;
  readonly #timer: Timer;

  constructor(options: PollingRoundsOptions) {
    this.#options = options;
    this.#timer = options.clock.timer(() => {
      this.#beginSome();
    });
  }

  /** All domains are looked at, now and on their beat. */
  follow(): void {
    const now = this.#options.clock.now();
    this.#timer.set(millis(askAt(this.#options.beat, now) - now));
  }

  /** Nothing begins anew any more. */
  end(): void {
    this.#timer.clear();
  }

  #beginSome(): void {
    const { clock, pollings, beginAnew } = this.#options;
    const now = clock.now();
    const due = pollings().filter(({ isNeeded, begun }) => isNeeded && isDueAnew(begun, now));
    due.sort((one, other) => (one.begun ?? 0) - (other.begun ?? 0));
    for (const polling of due.slice(0, AT_ONCE_MAX)) beginAnew(polling, now);
  }
}
