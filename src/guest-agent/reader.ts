/**
 * What a guest says of itself through its agent, as signals: the same files of `/proc` that a reader inside would read. It keeps what
 * was last said of each, with the time at which that was asked for: an agent that falls silent makes the guest's signals grow old, and
 * nothing else. It does not know what the signals are used for.
 */
import { endedOrAborted } from '../waiting/abort.js';
import { unknown, type Signal, type Unknown } from '../control/signal.js';
import type { Clock } from '../control/ports.js';
import { errorText } from '../errors.js';
import {
  counterSignals,
  extentSignals,
  memorySignals,
  pressureSignals,
  type CounterSignals,
  type ExtentSignals,
  type MemorySignals,
  type PressureSignals,
} from '../signals/guest-texts.js';
import { addMillis, millis, type Millis, type Pages } from '../units.js';
import { decodeEnabledCommands } from './answers.js';
import type { AgentChannel } from './channel.js';
import { AgentFiles, isSwitchedOff } from './files.js';

export type AgentSignals = MemorySignals & CounterSignals & PressureSignals & ExtentSignals;

export interface AgentReaderOptions {
  readonly channel: AgentChannel;
  readonly clock: Clock;
  /** Told once when the agent may not be asked for files, with what to do; and once more when it may again. */
  readonly tell: (message: string) => void;
}

/** For one look in all. An agent that needs longer is asked again at the next one. */
export const LOOK_LIMIT = millis(10_000);
/**
 * `/proc/zoneinfo` is the largest of the files, and what it says changes with the hardware only: it is read again when it is older than
 * this, or when the guest has more memory than it had then.
 */
export const EXTENT_AGE_MAX = millis(60_000);
/** The same where it has less since: something may have been unplugged. It may be a balloon too, which does not change the file. */
export const EXTENT_AGE_MAX_AFTER_LOSS = millis(5_000);
/**
 * Whoever may not be asked for files is asked again after this whether he may: a backup switches nearly all commands off for as long
 * as the guest's file systems are frozen.
 */
export const SWITCHED_OFF_PAUSE = millis(60_000);

const NEEDED = ['guest-file-open', 'guest-file-seek', 'guest-file-read', 'guest-file-close'] as const;
const SWITCHED_OFF =
  'its guest agent has the commands for files switched off. In the guest, take guest-file-open, guest-file-seek, guest-file-read and guest-file-close out of block-rpcs (or put them into allow-rpcs) of qemu-ga, and start it again';

export class AgentReader {
  readonly #options: AgentReaderOptions;
  readonly #files: AgentFiles;
  readonly #ending = new AbortController();
  #signals: AgentSignals = nothingKnown(unknown('not-reported', 'its guest agent has not answered yet'));
  #underWay: Promise<void> | null = null;
  #endLook: (() => void) | null = null;
  #mayRead: boolean | null = null;
  #askAgainAt: Millis | null = null;
  #extent: { readonly at: Millis; readonly total: Pages | null } | null = null;

  constructor(options: AgentReaderOptions) {
    this.#options = options;
    this.#files = new AgentFiles(options.channel, options.clock);
  }

  /** What is known now; what was asked for and did not come is what it was before. */
  get signals(): AgentSignals {
    return this.#signals;
  }

  /** Looks, or joins the look that is under way. Resolves when it has ended, well or not, after 10 s at most. Never rejects. */
  look(): Promise<void> {
    this.#underWay ??= this.#lookOnce().finally(() => {
      this.#underWay = null;
    });
    return this.#underWay;
  }

  /** The guest, or its agent, begins anew: what was open in it is others' now, or will be. */
  forget(): void {
    this.#files.beginAnew();
    // Files of one that is not there yet would not be opened, and then be left alone: it is asked first whether it may be.
    if (this.#mayRead === true) this.#mayRead = null;
    this.#askAgainAt = null;
    this.#extent = null;
    // What still waits to be sent would reach the new one.
    this.#endLook?.();
  }

  /** The connection was made again, and it is not known whether that has happened meanwhile. */
  doubt(): void {
    this.#files.doubt();
  }

  /** Closes the guest's files, as far as they are certainly ours and the agent still answers before `limit` is aborted. There is no look after that. Never rejects. */
  async close(limit: AbortSignal): Promise<void> {
    this.#ending.abort();
    // A channel may be slower to give up than whoever closes.
    await endedOrAborted(this.#underWay ?? Promise.resolve(), limit);
    await this.#files.close(limit);
  }

  async #lookOnce(): Promise<void> {
    if (this.#ending.signal.aborted) return;
    const look = new AbortController();
    const end = (): void => {
      look.abort();
    };
    this.#endLook = end;
    // Not `AbortSignal.any`: it has kept what it made alive for as long as the signal that never ends.
    const sources = [this.#options.clock.timeLimit(LOOK_LIMIT), this.#ending.signal];
    for (const source of sources) source.addEventListener('abort', end, { once: true });
    try {
      if (await this.#mayReadNow(look.signal)) await this.#readAll(look.signal);
    } catch (error) {
      if (isSwitchedOff(error)) this.#noteSwitchedOff();
      else this.#noteSilence(errorText(error));
    } finally {
      this.#endLook = null;
      for (const source of sources) source.removeEventListener('abort', end);
    }
  }

  async #mayReadNow(signal: AbortSignal): Promise<boolean> {
    const { channel, clock, tell } = this.#options;
    if (this.#mayRead === true) return true;
    if (this.#askAgainAt !== null && clock.now() < this.#askAgainAt) return false;
    const enabled = decodeEnabledCommands(await channel.ask('guest-info', {}, signal));
    if (!NEEDED.every((name) => enabled?.has(name))) {
      this.#noteSwitchedOff();
      return false;
    }
    if (this.#mayRead === false) tell('its guest agent may be asked for files again');
    this.#mayRead = true;
    this.#askAgainAt = null;
    return true;
  }

  async #readAll(signal: AbortSignal): Promise<void> {
    const memory = await this.#read('/proc/meminfo', memorySignals, signal);
    await this.#read('/proc/vmstat', counterSignals, signal);
    await this.#read('/proc/pressure/memory', pressureSignals, signal);
    const total = memory.total.known ? memory.total.value : null;
    if (!this.#isExtentDue(total)) return;
    const at = this.#options.clock.now();
    await this.#read('/proc/zoneinfo', (text, asked) => extentSignals(text, asked, total), signal);
    this.#extent = { at, total };
  }

  async #read<Part extends Partial<AgentSignals>>(
    path: string,
    signalsOf: (text: Awaited<ReturnType<AgentFiles['read']>>, at: Millis) => Part,
    signal: AbortSignal,
  ): Promise<Part> {
    const at = this.#options.clock.now();
    const part = signalsOf(await this.#files.read(path, signal), at);
    this.#signals = { ...this.#signals, ...part };
    return part;
  }

  #isExtentDue(total: Pages | null): boolean {
    const last = this.#extent;
    if (last === null) return true;
    if (total !== null && last.total !== null && total > last.total) return true;
    const hasLost = total !== null && last.total !== null && total < last.total;
    return this.#options.clock.now() - last.at >= (hasLost ? EXTENT_AGE_MAX_AFTER_LOSS : EXTENT_AGE_MAX);
  }

  #noteSwitchedOff(): void {
    const { clock, tell } = this.#options;
    if (this.#mayRead !== false) tell(SWITCHED_OFF);
    this.#mayRead = false;
    this.#askAgainAt = addMillis(clock.now(), SWITCHED_OFF_PAUSE);
    this.#signals = whereUnknown(this.#signals, unknown('not-reported', SWITCHED_OFF));
  }

  #noteSilence(why: string): void {
    this.#signals = whereUnknown(this.#signals, unknown('not-reported', why));
  }
}

const nothingKnown = (why: Unknown): AgentSignals => ({
  total: why,
  free: why,
  available: why,
  cached: why,
  committed: why,
  swapTotal: why,
  swapUsed: why,
  reserve: why,
  maxPfn: why,
  refaults: why,
  majorFaults: why,
  oomKills: why,
  pressure: why,
});

/** What is known stays known, and grows old; so does nonsense stay nonsense. */
function whereUnknown(signals: AgentSignals, why: Unknown): AgentSignals {
  const keep = <T>(signal: Signal<T>): Signal<T> => (signal.known || signal.reason !== 'not-reported' ? signal : why);
  return {
    total: keep(signals.total),
    free: keep(signals.free),
    available: keep(signals.available),
    cached: keep(signals.cached),
    committed: keep(signals.committed),
    swapTotal: keep(signals.swapTotal),
    swapUsed: keep(signals.swapUsed),
    reserve: keep(signals.reserve),
    maxPfn: keep(signals.maxPfn),
    refaults: keep(signals.refaults),
    majorFaults: keep(signals.majorFaults),
    oomKills: keep(signals.oomKills),
    pressure: keep(signals.pressure),
  };
}
