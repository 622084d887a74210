/**
 * How one machine's guest is asked for its statistics: by QEMU, once a second, shortly before we look. What was set before is put back in
 * the end. It does not know what the statistics say.
 */
import type { Clock, Timer } from '../../control/ports.js';
import { decodePollingInterval, type Qmp } from '../../qmp/index.js';
import type { Beat } from '../../control/beat.js';
import { askAt, isDueAnew } from '../../signals/polling-phase.js';
import { millis, type Millis } from '../../units.js';
import { answerOrNull } from './answer-or-null.js';

/** The shortest interval that QEMU can, which counts in whole seconds. */
const INTERVAL_S = 1;

interface Asks {
  readonly qmp: Qmp;
  /** The balloon's path in QEMU's tree of objects. */
  readonly path: string;
  readonly clock: Clock;
}

export class StatsPolling {
  readonly #asks: Asks;
  /** In seconds; null: QEMU did not say. */
  readonly #intervalFound: number | null;
  readonly #timer: Timer;
  #begun: Millis | null = null;

  private constructor(asks: Asks, intervalFound: number | null) {
    this.#asks = asks;
    this.#intervalFound = intervalFound;
    this.#timer = asks.clock.timer(() => {
      this.#beginAnew();
    });
  }

  /** Switches it on. Rejects with `QmpError` when QEMU does not answer. */
  static async begin(asks: Asks, signal: AbortSignal): Promise<StatsPolling> {
    const { qmp, path } = asks;
    const found = decodePollingInterval(
      await answerOrNull(qmp.execute('qom-get', { path, property: INTERVAL }, { signal })),
    );
    if (found !== INTERVAL_S) await answerOrNull(setInterval(asks, INTERVAL_S, signal));
    return new StatsPolling(asks, found);
  }

  /** The machine is looked at on that beat: before the next look the guest shall be asked. To be called now and then. */
  follow(beat: Beat): void {
    const now = this.#asks.clock.now();
    const at = askAt(beat, now);
    if (isDueAnew(this.#begun, at)) this.#timer.set(millis(at - now));
  }

  /** In one go, so that it cannot be left switched off. A QEMU that does not answer is told of by the next look. */
  #beginAnew(): void {
    this.#begun = this.#asks.clock.now();
    for (const seconds of [0, INTERVAL_S]) setInterval(this.#asks, seconds).catch(() => undefined);
  }

  /** The guest is asked at no time of ours any more, until the machine is followed again. */
  rest(): void {
    this.#timer.clear();
  }

  /** Rests, and puts back what was found, as far as QEMU still answers. Never rejects. */
  async putBack(signal: AbortSignal): Promise<void> {
    this.rest();
    const found = this.#intervalFound;
    if (found !== null && found !== INTERVAL_S) await setInterval(this.#asks, found, signal).catch(() => undefined);
  }
}

const INTERVAL = 'guest-stats-polling-interval';

const setInterval = ({ qmp, path }: Asks, seconds: number, signal?: AbortSignal): Promise<unknown> =>
  qmp.execute('qom-set', { path, property: INTERVAL, value: seconds }, { signal });
