/**
 * Looks at `MemAvailable` again and again, as often as what is left makes necessary, and says when it is low. It decides when
 * to look and when to speak; from which amount on memory is low is control's, and what follows from it too.
 */
import { lowLevel } from '../control/alarm.js';
import type { Clock, Timer } from '../control/ports.js';
import type { Field } from '../control/signal.js';
import { addMillis, millis, type Millis } from '../units.js';
import { openMemoryGlancer, type MemoryGlance, type MemoryGlancer } from './memory-glance.js';
import { WATCH_PAUSE_AT_REST, WATCH_PAUSE_MAX, watchPause, type TimedGlance } from './watch-pace.js';

export interface AvailableWatchOptions {
  /** The folder that has `proc` in it. */
  readonly root: string;
  readonly clock: Clock;
  /** Memory is low. Called when it becomes so, and again while it stays so: after 1 s, then 2, 4, and every 8 s. */
  readonly onLow: (seen: MemoryGlance, at: Millis) => void;
}

export interface AvailableWatch {
  /** Looks at once, beside the watch. */
  glance(): Field<MemoryGlance>;
  /** One clause for people: whether it can see anything, and if not, why. */
  describe(): string;
  /** Ends it at once; no timer is left. */
  close(): void;
}

/** The first alarm may have got lost on its way; a guest that stays low at its full size needs no more than a reminder. */
const REPEAT_FIRST = millis(1000);
const REPEAT_MAX = millis(8000);
/** After a look that came late the next one is due the sooner, but not sooner than this. */
const GAP_MIN = millis(10);

/** Begins to watch. */
export function watchAvailable(options: AvailableWatchOptions): AvailableWatch {
  return new Watch(options);
}

class Watch implements AvailableWatch {
  readonly #options: AvailableWatchOptions;
  readonly #glancer: MemoryGlancer;
  readonly #timer: Timer;
  #due: Millis;
  #last: TimedGlance | null = null;
  #whyBlind: string | null = null;
  #isLow = false;
  #spokenAt: Millis | null = null;
  /** How long nothing is said after that. */
  #silence = REPEAT_FIRST;

  constructor(options: AvailableWatchOptions) {
    this.#options = options;
    this.#glancer = openMemoryGlancer(options.root);
    this.#due = options.clock.now();
    this.#timer = options.clock.timer(() => {
      this.#lookAndWait();
    });
    this.#lookAndWait();
  }

  glance(): Field<MemoryGlance> {
    return this.#glancer.read();
  }

  describe(): string {
    if (this.#whyBlind === null) return 'available memory is watched';
    return `available memory cannot be watched (${this.#whyBlind})`;
  }

  close(): void {
    this.#timer.clear();
    this.#glancer.close();
  }

  #lookAndWait(): void {
    const at = this.#options.clock.now();
    const pause = this.#look(at);
    // Counted from when the look was due: a guest that is short of CPU must not be watched the less for it.
    this.#due = millis(Math.max(addMillis(this.#due, pause), addMillis(at, GAP_MIN)));
    this.#timer.set(millis(this.#due - at));
  }

  /** One look; returns the pause until the next. */
  #look(at: Millis): Millis {
    const seen = this.#glancer.read();
    this.#whyBlind = seen.known ? null : seen.detail;
    if (!seen.known) {
      this.#last = null;
      return WATCH_PAUSE_MAX;
    }
    const before = this.#last;
    const glance = { at, available: seen.value.available, level: lowLevel(seen.value.total) };
    this.#last = glance;
    if (glance.available < glance.level) return this.#speakUp(seen.value, at);
    this.#isLow = false;
    this.#silence = REPEAT_FIRST;
    return watchPause(glance, before);
  }

  #speakUp(seen: MemoryGlance, at: Millis): Millis {
    if (this.#spokenAt === null || at >= this.#spokenAt + this.#silence) {
      this.#silence = this.#isLow ? millis(Math.min(this.#silence * 2, REPEAT_MAX)) : REPEAT_FIRST;
      this.#isLow = true;
      this.#spokenAt = at;
      this.#options.onLow(seen, at);
    }
    // Nothing more can be said before then, and a guest in distress has better uses for its CPU.
    const quietFor = Math.max(this.#spokenAt + this.#silence - at, WATCH_PAUSE_AT_REST);
    return millis(Math.min(quietFor, WATCH_PAUSE_MAX));
  }
}
