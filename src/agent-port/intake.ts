/**
 * Takes what comes from a guest, at a pace that does not depend on the guest: so many bytes a second are read, so many lines a second
 * are looked at, and of all lines only the newest, for each report replaces the one before it. It does not know what a line says.
 */
import { Allowance } from '../connection/allowance.js';
import { LineDecoder } from '../connection/line-decoder.js';
import type { Clock, Timer } from '../control/ports.js';
import type { Millis } from '../units.js';

/** Twice what an agent of ours sends at most: ten reports a second, and as many again for alarms. */
const LINES_PER_SECOND_MAX = 40;
/**
 * An agent sends some 10 KB a second. What waits in QEMU and in the socket when nobody has read for a while is less than half a MiB, and
 * is to be gone at once; 4 MiB of anything cost some milliseconds.
 */
const BYTES_PER_SECOND_MAX = 4 * 2 ** 20;

export interface IntakeOptions {
  readonly clock: Clock;
  /** Longest line that is taken, in bytes. */
  readonly lineBytesMax: number;
  /** A line, and when it came; null: it was too long. Not called for those that a newer one overtook. Must not throw. */
  readonly onLine: (text: string | null, at: Millis) => void;
  /** The sender is to wait, until `resume`. */
  readonly pause: () => void;
  readonly resume: () => void;
}

export class Intake {
  readonly #options: IntakeOptions;
  readonly #decoder: LineDecoder;
  readonly #bytes: Allowance;
  readonly #lines: Allowance;
  readonly #looking: Timer;
  readonly #pausing: Timer;
  #newest: { readonly text: string | null; readonly at: Millis } | null = null;
  #isEnded = false;

  constructor(options: IntakeOptions) {
    const { clock, lineBytesMax, resume } = options;
    const now = (): Millis => clock.now();
    this.#options = options;
    this.#decoder = new LineDecoder({
      bytesMax: lineBytesMax,
      onTooLong: () => {
        this.#note(null);
      },
    });
    this.#bytes = new Allowance(BYTES_PER_SECOND_MAX, now);
    this.#lines = new Allowance(LINES_PER_SECOND_MAX, now);
    this.#looking = clock.timer(() => {
      this.#look();
    });
    this.#pausing = clock.timer(resume);
  }

  /** Bytes came. */
  take(chunk: Uint8Array): void {
    if (this.#isEnded) return;
    this.#decoder.pushNewest(chunk, (line) => {
      this.#note(line.toString());
    });
    this.#bytes.spend(chunk.length);
    const { wait } = this.#bytes;
    if (wait === 0) return;
    this.#options.pause();
    this.#pausing.set(wait);
  }

  /** Nothing is handed on any more. */
  end(): void {
    this.#isEnded = true;
    this.#newest = null;
    this.#looking.clear();
    this.#pausing.clear();
  }

  /** Looked at in a turn of its own at the earliest: all that waits in the socket is read first, so that nothing old is taken for new. */
  #note(text: string | null): void {
    const isFirst = this.#newest === null;
    this.#newest = { text, at: this.#options.clock.now() };
    if (isFirst) this.#looking.set(this.#lines.wait);
  }

  #look(): void {
    const newest = this.#newest;
    if (newest === null) return;
    this.#newest = null;
    this.#lines.spend(1);
    this.#options.onLine(newest.text, newest.at);
  }
}
