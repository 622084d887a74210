/**
 * Files of a guest, read again and again through its agent. Each is opened once, since the agent writes every opening into the guest's
 * log, and keeps its handle from look to look. It does not know what the files say.
 *
 * Handles are the agent's and not the connection's, and it counts them from 1000 again after each boot: then ours is whichever file another
 * client of the same agent has opened since, and to read or close it would hurt that one without a word. So all are forgotten, and none of
 * them closed, when the guest may have begun anew, or when the agent does not know one of them; and after a lost connection they are used only
 * where each stands as it was left.
 *
 * The agent reads through C's stdio. A file that was not read to its end may leave a buffer that a seek to its beginning finds again,
 * with the text of back then (seen: 7.2 with glibc 2.36). So a handle is used again only after its end was reached.
 */
import { known, unknown, type Field, type Unknown } from '../control/signal.js';
import type { Clock } from '../control/ports.js';
import { addMillis, millis, minMillis, type Millis } from '../units.js';
import { decodeFileChunk, decodeHandle, decodePosition, type FileChunk } from './answers.js';
import type { QmpArguments } from '../qmp/index.js';
import type { AgentChannel } from './channel.js';
import { AgentError, beganAnew } from './errors.js';

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

/** Of `guest-file-seek`. */
const FROM_BEGINNING = 0;
const FROM_HERE = 1;

interface Opened {
  readonly handle: number;
  /** Whether it was read to its end, or not at all. */
  isWhole: boolean;
  /** Where it stands then, in bytes. */
  position: number;
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
  /** How often they were forgotten. */
  #forgotten = 0;
  /** Whether it is to be seen first that they are still ours. */
  #isInDoubt = false;
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
    if (this.#isInDoubt) await this.#settleDoubt(signal);
    const kept = this.#handles.get(path);
    const text = kept === undefined ? null : await this.#readKept(path, kept, signal);
    return text ?? this.#readAfresh(path, signal);
  }

  /**
   * The guest has begun anew, or another agent has: the handles are others' now, or will be. A file that is just being read is not read on;
   * only what was sent before cannot be taken back.
   */
  forget(): void {
    this.#handles.clear();
    this.#forgotten += 1;
    this.#isInDoubt = false;
  }

  /** So it is, and what was wrong with the files before is no word on those that are there now. */
  beginAnew(): void {
    this.forget();
    this.#failures.clear();
  }

  /** The connection was made again: meanwhile the same may have happened. */
  doubt(): void {
    this.#isInDoubt = this.#handles.size > 0;
  }

  /** Closes what is certainly ours, as far as the agent still answers. Never rejects. */
  async close(signal: AbortSignal): Promise<void> {
    for (const [path, opened] of [...this.#handles]) {
      if (signal.aborted || this.#isInDoubt) return;
      await this.#close(path, opened, signal).catch(() => undefined);
    }
  }

  /**
   * To ask where a file stands moves nothing, whoever has it. Where all stand as they were left it is the same agent, which then has those
   * that were not read to their ends, too.
   */
  async #settleDoubt(signal: AbortSignal): Promise<void> {
    const whole = [...this.#handles.values()].filter(({ isWhole }) => isWhole);
    let isSame = whole.length > 0;
    for (const opened of whole) isSame &&= await this.#standsAsLeft(opened, signal);
    if (!isSame) this.forget();
    this.#isInDoubt = false;
  }

  async #standsAsLeft(opened: Opened, signal: AbortSignal): Promise<boolean> {
    try {
      const answer = await this.#askOf(opened, 'guest-file-seek', { offset: 0, whence: FROM_HERE }, signal);
      return decodePosition(answer) === opened.position;
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return false;
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
    const forgotten = this.#forgotten;
    try {
      const handle = decodeHandle(await this.#channel.ask('guest-file-open', { path, mode: 'r' }, signal));
      if (handle === null) return this.#leaveAlone(path, unknown('malformed', `the handle of ${path} is no number`));
      if (forgotten !== this.#forgotten) throw beganAnew('guest-file-open');
      const opened = { handle, isWhole: true, position: 0 };
      this.#handles.set(path, opened);
      return opened;
    } catch (error) {
      if (isRefusal(error)) return this.#leaveAlone(path, cannotOpen(path, error));
      const isNews = isSwitchedOff(error) || forgotten !== this.#forgotten;
      if (!isNews) this.#leaveAlone(path, unknown('unreadable', `${path} was not opened in time`));
      throw error;
    }
  }

  async #readFrom(path: string, opened: Opened, signal: AbortSignal): Promise<Field<string>> {
    const wrong = async (seen: string): Promise<Unknown> => {
      await this.#close(path, opened, signal);
      return this.#leaveAlone(path, unknown('malformed', `${path} of the guest: ${seen}`));
    };
    opened.isWhole = false;
    const seek = { offset: 0, whence: FROM_BEGINNING };
    if (decodePosition(await this.#askOf(opened, 'guest-file-seek', seek, signal)) !== 0)
      return wrong('it cannot be read from its beginning');
    const chunks: Buffer[] = [];
    for (let length = 0; length <= FILE_BYTES_MAX;) {
      const read = { count: CHUNK_BYTES };
      const chunk = decodeFileChunk(await this.#askOf(opened, 'guest-file-read', read, signal), CHUNK_BYTES);
      if (chunk === null || !isWhole(chunk)) return wrong('what was read of it is no text');
      chunks.push(chunk.bytes);
      length += chunk.bytes.length;
      if (!chunk.isEnd || length > FILE_BYTES_MAX) continue;
      opened.isWhole = true;
      opened.position = length;
      this.#failures.delete(path);
      return known(Buffer.concat(chunks).toString('utf8'));
    }
    return wrong(`it is longer than ${FILE_BYTES_MAX} bytes`);
  }

  /** It stays among those that are open as long as nobody has answered that it is closed. */
  async #close(path: string, opened: Opened, signal: AbortSignal): Promise<void> {
    if (this.#handles.get(path) !== opened) return;
    try {
      await this.#askOf(opened, 'guest-file-close', {}, signal);
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
    this.#handles.delete(path);
  }

  /** Of a handle that is ours as far as anybody knows. Rejects with `AgentError`. */
  async #askOf(opened: Opened, command: string, args: QmpArguments, signal: AbortSignal): Promise<unknown> {
    const isOurs = [...this.#handles.values()].includes(opened);
    if (!isOurs) throw beganAnew(command);
    try {
      return await this.#channel.ask(command, { handle: opened.handle, ...args }, signal);
    } catch (error) {
      if (isLostHandle(error)) this.forget();
      throw error;
    }
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

/** The agent has not opened it, or has closed it: it is another one than that of which we have it. */
const isLostHandle = (error: unknown): boolean =>
  isRefusal(error) && /handle '?\d+'? has not been found/.test(error.message);

/** All refusals are of one class; only the words tell a missing file from one that may not be read. */
const cannotOpen = (path: string, error: AgentError): Unknown =>
  /No such file/.test(error.message)
    ? unknown('not-reported', `the guest has no ${path}`)
    : unknown('unreadable', `${path} of the guest: ${error.message}`);
