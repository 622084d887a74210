/**
 * How one machine's guest is asked for its statistics: by QEMU, once a second, shortly before we look. What was set before is put back in
 * the end. It does not know what the statistics say.
 */
import type { Clock, Timer } from '../../control/ports.js';
import { decodePollingInterval, type Qmp } from '../../qmp/index.js';
import type { Beat } from '../../control/beat.js';
import { askAt, isDueAnew, isInTime } from '../../signals/polling-phase.js';
import { Renewal } from '../../signals/renewal.js';
import { millis, type Millis } from '../../units.js';
import { answerOrNull } from './answer-or-null.js';

/** The shortest interval that QEMU can, which counts in whole seconds. */
const INTERVAL_S = 1;

interface Asks {
  readonly qmp: Qmp;
  /** The balloon's path in QEMU's tree of objects. */
  readonly path: string;
  readonly clock: Clock;
  /** The interval that was found over a connection before, in seconds; null: this is the first, or QEMU did not say. */
  readonly foundBefore: number | null;
}

export class StatsPolling {
  readonly #asks: Asks;
  /** The interval before us, in seconds; null: QEMU did not say. */
  readonly found: number | null;
  readonly #timer: Timer;
  #begun: Millis | null = null;
  #dueAt = millis(0);
  readonly #renewal = new Renewal();
  /** It was switched off, and nobody knows whether it is on again. */
  #isUncertain = false;
  #isLeft = false;
  /** Nobody has QEMU ask the guest, and nor do we. */
  readonly isOff: boolean;

  private constructor(asks: Asks, found: number | null, isOff = false) {
    this.#asks = asks;
    this.found = found;
    this.isOff = isOff;
    this.#timer = asks.clock.timer(() => {
      this.#beginAnew();
    });
  }

  /** Switches it on. Rejects with `QmpError` when QEMU does not answer. */
  static async begin(asks: Asks, signal: AbortSignal): Promise<StatsPolling> {
    const found = await intervalOf(asks, signal);
    if (found !== INTERVAL_S) await answerOrNull(poll(asks, INTERVAL_S, signal));
    return new StatsPolling(asks, asks.foundBefore ?? found);
  }

  /** Finds out whether it is on, and leaves it so for good. Rejects with `QmpError` when QEMU does not answer. */
  static async leave(asks: Asks, signal: AbortSignal): Promise<StatsPolling> {
    const polling = new StatsPolling(asks, null, (await intervalOf(asks, signal)) === 0);
    polling.#isLeft = true;
    return polling;
  }

  /** The machine is looked at on that beat: before the next look the guest shall be asked. To be called now and then. */
  follow(beat: Beat): void {
    const now = this.#asks.clock.now();
    const at = askAt(beat, now);
    if (this.#isLeft || !isDueAnew(this.#begun, at)) return;
    this.#dueAt = at;
    this.#timer.set(millis(at - now));
  }

  /** What a look that began at `at` has found. */
  noteSeen(lastUpdate: number | null, at: Millis): void {
    if (this.#renewal.isLate(lastUpdate, at)) this.#begun = null;
  }

  /** A QEMU that hung may have carried out the first of two commands and not the second. To be called at each look. */
  mend(): void {
    if (this.#isUncertain && !this.#isLeft) this.#switchOn();
  }

  /** In one go. A QEMU that does not answer is told of by the next look. */
  #beginAnew(): void {
    const now = this.#asks.clock.now();
    if (!isInTime(this.#dueAt, now)) return;
    this.#begun = now;
    poll(this.#asks, 0).catch(() => undefined);
    this.#switchOn();
  }

  #switchOn(): void {
    this.#isUncertain = true;
    poll(this.#asks, INTERVAL_S).then(
      () => (this.#isUncertain = false),
      () => (this.#begun = null),
    );
  }

  /** The guest is asked at no time of ours any more, until the machine is followed again. */
  rest(): void {
    this.#timer.clear();
  }

  /** Rests, and puts back what was found, as far as QEMU still answers. Never rejects. */
  async putBack(signal: AbortSignal): Promise<void> {
    this.rest();
    this.#isLeft = true;
    const { found } = this;
    if (found === null || (found === INTERVAL_S && !this.#isUncertain)) return;
    await poll(this.#asks, found, signal).catch(() => undefined);
  }
}

const INTERVAL = 'guest-stats-polling-interval';

const intervalOf = async ({ qmp, path }: Asks, signal: AbortSignal): Promise<number | null> =>
  decodePollingInterval(await answerOrNull(qmp.execute('qom-get', { path, property: INTERVAL }, { signal })));

const poll = ({ qmp, path }: Asks, seconds: number, signal?: AbortSignal): Promise<unknown> =>
  qmp.execute('qom-set', { path, property: INTERVAL, value: seconds }, { signal });
