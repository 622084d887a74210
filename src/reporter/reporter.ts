/**
 * Tells the host how a guest is: on change, at once at an alarm, and once a second to show that somebody is there; never more
 * often than ten times a second, and ten times more for alarms. It looks as often only while things change, and less and less often, down to once a second,
 * while they do not: what cannot wait comes as an alarm. It does not know where its readings come from nor how a report
 * travels, and decides nothing about memory.
 */
import type { AlarmCause } from '../control/alarm.js';
import type { Clock } from '../control/ports.js';
import type { Signals } from '../control/reading.js';
import { errorText } from '../errors.js';
import { formatReport, type Report } from '../signals/report.js';
import { addMillis, millis, minMillis, type Millis } from '../units.js';
import { hasChanged } from './change.js';

export interface ReporterOptions {
  /** One look at the guest. Must not throw. */
  readonly read: () => Signals;
  /** Puts a report where the host finds it. One call at a time. */
  readonly publish: (text: string, signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  /** Told when reports do not get through, and when they do again. */
  readonly tell: (message: string) => void;
  /** The longest pause after a report that did not get through. Default 10 s. */
  readonly retryMax?: Millis;
  /** Whether an alarm, too, comes 100 ms after any report: where the host reads no more often, sooner wins nothing. Default false. */
  readonly alarmsWait?: boolean;
}

/** Ten reports a second at most, and ten looks; an alarm waits for the one before it only, and not for a report that was none, unless told to. */
const PAUSE_MIN = millis(100);
/** A report is repeated after this although nothing has changed: the host must tell silence from quiet. */
const BEAT = millis(1_000);
/** A look at which nothing has changed makes the pause before the next one so much longer, up to the beat. */
const QUIET_FACTOR = 2;
/** Pauses after reports that did not get through: they double up to this. */
const RETRY_MAX = millis(10_000);

export class Reporter {
  readonly #options: ReporterOptions;
  #beat = 0;
  #alarm: Report['alarm'] = null;
  #isAlarmed = false;
  #wake: (() => void) | null = null;
  /** Of the last report that the next alarm waits for, when it went out. */
  #spacedFrom: Millis | null = null;
  #told: { readonly at: Millis; readonly signals: Signals } | null = null;
  /** From one look to the next, as long as reports get through. */
  #lookPause = PAUSE_MIN;
  /** After a report that did not get through. */
  #retryPause = PAUSE_MIN;
  #isStuck = false;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  /** Memory gets tight: the next report goes out as soon as one may. */
  alarm(cause: AlarmCause): void {
    this.#alarm = { count: (this.#alarm?.count ?? 0) + 1, cause };
    this.#isAlarmed = true;
    this.#wake?.();
  }

  /** Reports until `signal` is aborted. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      const startedAt = clock.now();
      await this.#reportIfDue(startedAt, signal);
      await this.#rest(this.#nextLook(startedAt), signal);
    }
  }

  async #reportIfDue(now: Millis, signal: AbortSignal): Promise<void> {
    const signals = this.#options.read();
    const told = this.#told;
    const isNews = told === null || this.#isAlarmed || hasChanged(told.signals, signals);
    this.#lookPause = isNews ? PAUSE_MIN : minMillis(millis(this.#lookPause * QUIET_FACTOR), BEAT);
    if (!isNews && now - told.at < BEAT) return;
    if (this.#isAlarmed || this.#options.alarmsWait === true) this.#spacedFrom = now;
    this.#isAlarmed = false;
    this.#beat += 1;
    const text = formatReport({ signals, beat: this.#beat, alarm: this.#alarm });
    try {
      await this.#options.publish(text, signal);
      this.#told = { at: now, signals };
      this.#gotThrough();
    } catch (error) {
      if (!signal.aborted) this.#gotStuck(errorText(error));
    }
  }

  #gotThrough(): void {
    if (this.#isStuck) this.#options.tell('reports get through again');
    this.#isStuck = false;
    this.#retryPause = PAUSE_MIN;
  }

  #gotStuck(why: string): void {
    if (!this.#isStuck) this.#options.tell(`reports do not get through: ${why}. Trying again`);
    this.#isStuck = true;
    this.#retryPause = minMillis(millis(this.#retryPause * 2), this.#options.retryMax ?? RETRY_MAX);
    this.#told = null;
  }

  /** After a look that began at `startedAt`. A report that got through is repeated in time, however long the pause. */
  #nextLook(startedAt: Millis): Millis {
    if (this.#told === null) return addMillis(startedAt, this.#retryPause);
    return minMillis(addMillis(startedAt, this.#lookPause), addMillis(this.#told.at, BEAT));
  }

  /** An alarm ends a rest, but not the least pause before it. */
  async #rest(until: Millis, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const rest = new AbortController();
    // Not `AbortSignal.any`: it has kept what it made alive for as long as the signal that never ends.
    const wake = (): void => {
      rest.abort();
    };
    this.#wake = wake;
    signal.addEventListener('abort', wake, { once: true });
    if (!this.#isAlarmed && !signal.aborted) await clock.sleepUntil(until, rest.signal);
    signal.removeEventListener('abort', wake);
    this.#wake = null;
    if (!this.#isAlarmed || this.#spacedFrom === null) return;
    await clock.sleepUntil(minMillis(until, addMillis(this.#spacedFrom, PAUSE_MIN)), signal);
  }
}
