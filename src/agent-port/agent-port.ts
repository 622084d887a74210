/**
 * The host's end of a guest's own agent: keeps a connection to the socket of its port and knows what the guest last said. The guest may
 * be hostile, and there may be no agent in it; neither is an error, and neither takes more than a fixed amount of memory and time. It
 * sends nothing, and decides nothing about memory.
 */
import { ConnectionKeeper } from '../connection/keeper.js';
import type { PeerCheck } from '../connection/unix-socket.js';
import type { Alarm } from '../control/alarm.js';
import type { Clock, Timer } from '../control/ports.js';
import type { Signals } from '../control/reading.js';
import { isLastWord, REPORT_LENGTH_MAX, TOO_LONG } from '../signals/report.js';
import {
  newAlarm,
  NO_REPORTS,
  SILENT_AFTER,
  signalsOf,
  silenceOf,
  withReport,
  type GuestReports,
} from '../signals/reported-guest.js';
import { addMillis, millis, type Millis } from '../units.js';
import { Intake } from './intake.js';
import { connectAgentLink, type AgentLink } from './link.js';

export interface AgentPortOptions {
  /** The unix socket of the port, on this host. */
  readonly path: string;
  readonly clock: Clock;
  /** How it is connected to. Default: `connectAgentLink`. */
  readonly connect?: (path: string, signal: AbortSignal, whyNot?: PeerCheck) => Promise<AgentLink>;
  /** Asked of whoever serves the socket, at each connection. Default: everybody is believed. */
  readonly whyNot?: PeerCheck;
  /**
   * Memory gets tight in the guest (`stalled`, `low`), or its agent has ended or said nothing for 30 s (`silent`). Called once for each
   * rise of the agent's count, however many reports repeat it. Must not throw.
   */
  readonly onAlarm: (alarm: Alarm) => void;
  /** There is something new in `signals` or `refusal`. At most 40 times a second. Must not throw. */
  readonly onReport?: () => void;
  /** Told, in words for the log, that the connection is lost and that it is there again: once each. */
  readonly tell: (message: string) => void;
}

export interface AgentPort {
  /**
   * What the guest last said, each signal with the time at which the report came; growing old while it says nothing. Empty while it
   * has said nothing at all, as a guest without an agent does, and after its agent has ended in order. `current` is never there.
   */
  signals(): Partial<Signals>;
  /** Why the newest that the guest said was not understood; null = it was, or nothing came. */
  readonly refusal: string | null;
  /** Ends the connection. No timer or descriptor is left, and nobody is told of anything any more. Never rejects. */
  close(): Promise<void>;
}

/** Begins to connect, and goes on until it is closed. Never throws. */
export function openAgentPort(options: AgentPortOptions): AgentPort {
  return new Port(options);
}

class Port implements AgentPort {
  readonly #options: AgentPortOptions;
  readonly #ending = new AbortController();
  readonly #keeping: Promise<void>;
  readonly #silence: Timer;
  #reports: GuestReports = NO_REPORTS;
  #listeningFrom = millis(0);
  /** When the newest line came. */
  #heardAt = millis(0);
  /** Nothing was looked at yet of what came over this connection. */
  #isNew = true;
  #isToldSilent = false;

  constructor(options: AgentPortOptions) {
    const { path, clock, connect = connectAgentLink, whyNot, tell } = options;
    this.#options = options;
    this.#silence = clock.timer(() => {
      this.#onSilence();
    });
    const keeper = new ConnectionKeeper<AgentLink>({
      to: `the agent's port at ${path}`,
      clock,
      connect: (signal) => connect(path, signal, whyNot),
      onConnected: (link) => {
        this.#follow(link);
        return Promise.resolve();
      },
      tell: (message) => {
        if (!this.#isEnding) tell(message);
      },
    });
    this.#keeping = keeper.keep(this.#ending.signal);
  }

  get refusal(): string | null {
    this.#forgetNonsense();
    return this.#reports.refusal;
  }

  signals(): Partial<Signals> {
    this.#forgetNonsense();
    return signalsOf(this.#reports);
  }

  /** Where no agent has ever reported, what somebody else wrote into the port once is no reason not to hear other sources for ever. */
  #forgetNonsense(): void {
    const isOld = this.#options.clock.now() - this.#heardAt > SILENT_AFTER;
    if (isOld && this.#reports.reported === null) this.#reports = NO_REPORTS;
  }

  async close(): Promise<void> {
    this.#ending.abort();
    this.#silence.clear();
    await this.#keeping;
  }

  get #isEnding(): boolean {
    return this.#ending.signal.aborted;
  }

  #follow(link: AgentLink): void {
    const { clock } = this.#options;
    const intake = new Intake({
      clock,
      lineBytesMax: REPORT_LENGTH_MAX,
      onLine: (text, at) => {
        this.#hear(text, at);
      },
      pause: () => {
        link.pause();
      },
      resume: () => {
        link.resume();
      },
    });
    this.#isNew = true;
    this.#listeningFrom = clock.now();
    this.#awaitSilence();
    void link.closed.then(() => {
      intake.end();
      // While nobody listens nobody is silent.
      this.#silence.clear();
    });
    link.receive((chunk) => {
      intake.take(chunk);
    });
  }

  #hear(text: string | null, at: Millis): void {
    if (this.#isEnding) return;
    const before = this.#reports;
    const after = heard(before, text, at);
    const isRest = this.#isNew && after.refusal !== null;
    this.#isNew = false;
    // The end of a line that was begun before anybody listened says nothing.
    if (isRest) return;
    this.#reports = after;
    this.#heardAt = at;
    if (after.reported !== before.reported) {
      this.#isToldSilent = false;
      this.#awaitSilence();
    }
    const alarm = newAlarm(before, after);
    if (alarm !== null) this.#options.onAlarm(alarm);
    this.#options.onReport?.();
  }

  #awaitSilence(): void {
    if (this.#isEnding || this.#isToldSilent || this.#reports.reported === null) this.#silence.clear();
    else this.#silence.set(addMillis(SILENT_AFTER, millis(1)));
  }

  #onSilence(): void {
    const alarm = silenceOf(this.#reports, this.#options.clock.now(), this.#listeningFrom);
    if (alarm === null || this.#isEnding) return;
    this.#isToldSilent = true;
    this.#options.onAlarm(alarm);
  }
}

function heard(before: GuestReports, text: string | null, at: Millis): GuestReports {
  if (text === null) return { ...before, refusal: TOO_LONG.detail };
  return isLastWord(text) ? NO_REPORTS : withReport(before, text, at);
}
