/**
 * Files of a guest, read again and again through its agent. Each is opened once, since the agent writes every opening into the guest's
 * log, and keeps its handle from look to look, also over a lost connection; where the agent has lost the handle, as after a restart, the
 * file is opened again. It does not know what the files say.
 *
 * The agent reads through C's stdio. A file that was not read to its end may leave a buffer that a seek to its beginning finds again,
 * with the text of back then (seen: 7.2 with glibc 2.36). So a handle is used again only after its end was reached.
 */
import { known, unknown, type Field, type Unknown } from '../control/signal.js';
import type { Clock } from '../control/ports.js';
import { addMillis, millis, minMillis, type Millis } from '../units.js';
import { decodeFileChunk, decodeHandle, decodePosition, type FileChunk } from './answers.js';
import type { AgentChannel } from './channel.js';
import { AgentError } from './errors.js';

/** Bytes asked for at once: 64 KiB of base64. All of `/proc` that is of use fits, but for a large machine's `zoneinfo`. */
export const CHUNK_BYTES = 48 * 1024;
/** Longer texts are not believed: as in the guest itself. */
export const FILE_BYTES_MAX = 2 ** 20;
/**
 * After an opening that failed, the file is left alone for so long, and then for twice as long: an agent that is too slow may have
 * opened it all the same, and every such handle stays open until it ends.
 */
const PAUSE_FIRST = millis(60_000);
const PAUSE_MAX = millis(3_600_000);

interface Opened {
  readonly handle: number;
  /** Whether it was read to its end, or not at all. */
  isWhole: boolean;
}

interface Failure {
  readonly field: Unknown;
  readonly until: Millis;
  readonly pause: Millis;
}

export class AgentFiles {
  readonly #channel: AgentChannel;
  readonly #clock: Clock;
  readonly #handles = new Map<string, Opened>();
  readonly #failures = new Map<string, Failure>();

  constructor(channel: AgentChannel, clock: Clock) {
    this.#channel = channel;
    this.#clock = clock;
  }

  /** Files that are open in the guest, as far as we know. */
  get openCount(): number {
    return this.#handles.size;
  }

  /**
   * The whole text as it is now. A file that is missing is `not-reported`, one that may not be read `unreadable`, and what is no answer
   * `malformed`. Rejects with `AgentError` where the agent does not answer, or knows no such command.
   */
  async read(path: string, signal: AbortSignal): Promise<Field<string>> {
    const failure = this.#failures.get(path);
    if (failure !== undefined && this.#clock.now() < failure.until) return failure.field;
    const kept = this.#handles.get(path);
    const text = kept === undefined ? null : await this.#readKept(path, kept, signal);
    return text ?? this.#readAfresh(path, signal);
  }

  /** Closes what is open, as far as the agent still answers. Never rejects. */
  async close(signal: AbortSignal): Promise<void> {
    for (const [path, opened] of [...this.#handles]) {
      if (signal.aborted) return;
      await this.#close(path, opened, signal).catch(() => undefined);
    }
  }

  /** Null: it must be opened again, because the agent does not know the handle any more or was not read to its end. */
  async #readKept(path: string, opened: Opened, signal: AbortSignal): Promise<Field<string> | null> {
    try {
      if (opened.isWhole) return await this.#readFrom(path, opened, signal);
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
    await this.#close(path, opened, signal);
    return null;
  }

  async #readAfresh(path: string, signal: AbortSignal): Promise<Field<string>> {
    const opened = await this.#open(path, signal);
    if ('known' in opened) return opened;
    try {
      return await this.#readFrom(path, opened, signal);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      await this.#close(path, opened, signal);
      return this.#leaveAlone(path, unknown('unreadable', `${path} of the guest: ${error.message}`));
    }
  }

  async #open(path: string, signal: AbortSignal): Promise<Opened | Unknown> {
    try {
      const handle = decodeHandle(await this.#channel.ask('guest-file-open', { path, mode: 'r' }, signal));
      if (handle === null) return this.#leaveAlone(path, unknown('malformed', `the handle of ${path} is no number`));
      const opened = { handle, isWhole: true };
      this.#handles.set(path, opened);
      return opened;
    } catch (error) {
      if (isRefusal(error)) return this.#leaveAlone(path, cannotOpen(path, error));
      if (!isSwitchedOff(error)) this.#leaveAlone(path, unknown('unreadable', `${path} was not opened in time`));
      throw error;
    }
  }

  async #readFrom(path: string, opened: Opened, signal: AbortSignal): Promise<Field<string>> {
    const { handle } = opened;
    const wrong = async (seen: string): Promise<Unknown> => {
      await this.#close(path, opened, signal);
      return this.#leaveAlone(path, unknown('malformed', `${path} of the guest: ${seen}`));
    };
    opened.isWhole = false;
    const seek = { handle, offset: 0, whence: 0 };
    if (decodePosition(await this.#channel.ask('guest-file-seek', seek, signal)) !== 0)
      return wrong('it cannot be read from its beginning');
    const chunks: Buffer[] = [];
    for (let length = 0; length <= FILE_BYTES_MAX;) {
      const read = { handle, count: CHUNK_BYTES };
      const chunk = decodeFileChunk(await this.#channel.ask('guest-file-read', read, signal), CHUNK_BYTES);
      if (chunk === null || !isWhole(chunk)) return wrong('what was read of it is no text');
      chunks.push(chunk.bytes);
      length += chunk.bytes.length;
      if (!chunk.isEnd || length > FILE_BYTES_MAX) continue;
      opened.isWhole = true;
      this.#failures.delete(path);
      return known(Buffer.concat(chunks).toString('utf8'));
    }
    return wrong(`it is longer than ${FILE_BYTES_MAX} bytes`);
  }

  /** It stays among those that are open as long as nobody has answered that it is closed. */
  async #close(path: string, { handle }: Opened, signal: AbortSignal): Promise<void> {
    try {
      await this.#channel.ask('guest-file-close', { handle }, signal);
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
    this.#handles.delete(path);
  }

  #leaveAlone(path: string, field: Unknown): Unknown {
    const last = this.#failures.get(path)?.pause;
    const pause = last === undefined ? PAUSE_FIRST : minMillis(millis(last * 2), PAUSE_MAX);
    this.#failures.set(path, { field, until: addMillis(this.#clock.now(), pause), pause });
    return field;
  }
}

/**
 * C's stdio stops short at the end of a file only. Whoever gives it in bits and never comes to the end would keep us busy with its
 * answers, and all other guests waiting.
 */
const isWhole = ({ bytes, isEnd }: FileChunk): boolean => isEnd || bytes.length === CHUNK_BYTES;

/** What the agent calls a command that it does not have, or that its administrator has switched off. */
export const isSwitchedOff = (error: unknown): boolean =>
  error instanceof AgentError && (error.class === 'CommandNotFound' || /has been disabled/.test(error.message));

/** It knows the command, and cannot do it with this file. */
const isRefusal = (error: unknown): error is AgentError =>
  error instanceof AgentError && error.agentCode === 'EREFUSED' && !isSwitchedOff(error);

/** All refusals are of one class; only the words tell a missing file from one that may not be read. */
const cannotOpen = (path: string, error: AgentError): Unknown =>
  /No such file/.test(error.message)
    ? unknown('not-reported', `the guest has no ${path}`)
    : unknown('unreadable', `${path} of the guest: ${error.message}`);
