/**
 * Keeps a pressure trigger set and waits for it, off the event loop. It decides when a trigger that got lost is set anew; what a
 * stall means for the guest is decided elsewhere.
 */
import { closeSync } from 'node:fs';
import type { Clock } from '../control/ports.js';
import { errorText, SelfballoonError } from '../errors.js';
import { openPoller, type Poller, type PollOutcome } from '../posix/poll.js';
import { addMillis, millis, type Millis } from '../units.js';
import { setTrigger, type SetTrigger, type TriggerSettings } from './trigger-file.js';

/** How the kernel is reached. Given by tests only. */
export interface TriggerCalls {
  readonly setTrigger: SetTrigger;
  readonly openPoller: (descriptor: number, interest: 'priority') => Promise<Poller>;
  readonly closeDescriptor: (descriptor: number) => void;
}

export interface PressureTriggerOptions {
  /** `/proc/pressure/memory`, unless someone tests. */
  readonly path: string;
  readonly settings: TriggerSettings;
  readonly clock: Clock;
  /** Tasks have waited for memory for as long as the settings say. Called at most once in each window. Must not throw. */
  readonly onStall: (at: Millis) => void;
  /** Told, in words for the log, when the trigger is not what was asked for. */
  readonly warn?: (message: string) => void;
  readonly calls?: TriggerCalls;
}

export interface PressureTrigger {
  /** One clause for people: which trigger is set, or why none is. */
  describe(): string;
  /** Ends the wait at once; no descriptor, thread or timer is left. */
  close(): Promise<void>;
}

/** A trigger that got lost is set anew after this, then after twice as long, and so on. */
const RETRY_FIRST = millis(1000);
const RETRY_MAX = millis(300_000);
/**
 * The kernel speaks at most once a window, of 500 ms at least, and remembers its word until somebody waits. Resting for half of
 * that loses nothing, and no kernel can make us spin.
 */
const REST = millis(250);

const REAL_CALLS: TriggerCalls = { setTrigger, openPoller, closeDescriptor: closeSync };

/** Sets the trigger and begins to wait for it. */
export function watchPressure(options: PressureTriggerOptions): PressureTrigger {
  return new Watch(options);
}

class Watch implements PressureTrigger {
  readonly #options: PressureTriggerOptions;
  readonly #calls: TriggerCalls;
  readonly #closing = new AbortController();
  readonly #work: Promise<void>;
  #poller: Poller | null = null;
  #state = 'the pressure trigger is being set';
  #retryAfter = RETRY_FIRST;

  constructor(options: PressureTriggerOptions) {
    this.#options = options;
    this.#calls = options.calls ?? REAL_CALLS;
    this.#work = this.#run(this.#closing.signal);
  }

  describe(): string {
    return this.#state;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#poller?.wake();
    await this.#work;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { path, settings, clock } = this.#options;
    while (!signal.aborted) {
      const outcome = this.#calls.setTrigger(path, settings);
      if (outcome.kind === 'refused') {
        this.#enter(`there is no pressure trigger: ${outcome.why}`, true);
        if (outcome.isForGood) return;
      } else {
        await this.#follow(outcome.descriptor, outcome.settings, signal);
      }
      await clock.sleepUntil(addMillis(clock.now(), this.#retryAfter), signal);
      this.#retryAfter = millis(Math.min(this.#retryAfter * 2, RETRY_MAX));
    }
  }

  /** Waits for one trigger until it is lost or `signal` is aborted, and gives its descriptors back. */
  async #follow(descriptor: number, settings: TriggerSettings, signal: AbortSignal): Promise<void> {
    try {
      const poller = await this.#calls.openPoller(descriptor, 'priority');
      this.#poller = poller;
      try {
        this.#enterSet(settings);
        const end = await this.#waitFor(poller, signal);
        if (end === 'failed') this.#enter('the pressure trigger got lost, and is set anew', true);
      } finally {
        this.#poller = null;
        await poller.close();
      }
    } catch (error) {
      if (!(error instanceof SelfballoonError)) throw error;
      this.#enter(`the pressure trigger cannot be waited for: ${errorText(error)}`, true);
    } finally {
      this.#calls.closeDescriptor(descriptor);
    }
  }

  /** Hands on every stall. Returns when no more can come. */
  async #waitFor(poller: Poller, signal: AbortSignal): Promise<Exclude<PollOutcome, 'ready'>> {
    const { clock, onStall } = this.#options;
    while (!signal.aborted) {
      const outcome = await poller.wait();
      if (outcome === 'failed') return outcome;
      if (outcome !== 'ready' || isAborted(signal)) continue;
      this.#retryAfter = RETRY_FIRST;
      const at = clock.now();
      onStall(at);
      await clock.sleepUntil(addMillis(at, REST), signal);
    }
    return 'woken';
  }

  #enterSet(set: TriggerSettings): void {
    const { settings: asked } = this.#options;
    const text = `the pressure trigger is set to ${set.stall} ms of waiting within ${set.window} ms`;
    if (set.window === asked.window) this.#enter(text, false);
    else this.#enter(`${text}: this process may not set ${asked.stall} ms within ${asked.window} ms`, true);
  }

  #enter(state: string, isLess: boolean): void {
    if (state !== this.#state && isLess) this.#options.warn?.(state);
    this.#state = state;
  }
}

/** Asked anew after a wait, during which it may have changed. */
const isAborted = (signal: AbortSignal): boolean => signal.aborted;
