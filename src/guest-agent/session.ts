/**
 * One connection to a guest's agent: lines of JSON without ids, so that one command is under way at a time, and an answer that came
 * late would be taken for the next one's. After a command without an answer, and at the beginning, the agent is therefore asked to say
 * a number that nobody can have said before, and all that comes before that is dropped. It does not know what a command means.
 *
 * Source: QEMU's qga/qapi-schema.json, `guest-sync-delimited`.
 */
import { randomInt } from 'node:crypto';
import type { Connection, ConnectionEnd } from '../connection/keeper.js';
import { LineDecoder } from '../connection/line-decoder.js';
import type { ByteStream } from '../connection/unix-socket.js';
import type { Clock } from '../control/ports.js';
import { errorText, quoted } from '../errors.js';
import { startDeadline } from '../qmp/deadline.js';
import type { QmpArguments } from '../qmp/index.js';
import { millis, type Millis } from '../units.js';
import { decodeAgentMessage } from './answers.js';
import type { AgentChannel } from './channel.js';
import { busy, noAnswer, notAnAnswer, notConnected, refused, tooMuch, type AgentError } from './errors.js';

/** Bytes that no text has: the agent's, before the answer that begins anew, and ours, so that it drops what another left half said. */
const SENTINEL = 0xff;
/** An agent answers in some milliseconds; one whose guest is short of memory may need longer. */
export const COMMAND_LIMIT = millis(5_000);
/** Whoever does not even say a number for so long is not there. */
export const SYNC_LIMIT = millis(3_000);
/** Most that may come between two commands: twice the longest answer that is asked for, which is 48 KiB of a file in base64. */
export const ANSWER_BYTES_MAX = 128 * 1024;
/** Numbers are exact below 2^53; Node.js draws them below 2^48. */
const SYNC_IDS = 2 ** 47;

interface Question {
  readonly command: string;
  /** The number that is to come; null: any answer is this question's. */
  readonly syncId: number | null;
  readonly resolve: (value: unknown) => void;
  readonly reject: (why: AgentError) => void;
}

export class AgentSession implements AgentChannel, Connection {
  readonly closed: Promise<ConnectionEnd>;
  readonly #stream: ByteStream<AgentError>;
  readonly #clock: Clock;
  readonly #decoder: LineDecoder;
  #question: Question | null = null;
  #isBusy = false;
  #isInSync = false;
  #bytesLeft = ANSWER_BYTES_MAX;
  #end: ConnectionEnd | null = null;
  #tellEnd: (end: ConnectionEnd) => void = () => undefined;

  /** Takes `stream` over, and closes it in the end. */
  constructor(stream: ByteStream<AgentError>, clock: Clock) {
    this.#stream = stream;
    this.#clock = clock;
    this.closed = new Promise((resolve) => (this.#tellEnd = resolve));
    this.#decoder = new LineDecoder({
      bytesMax: ANSWER_BYTES_MAX,
      onTooLong: () => {
        this.#endFlood();
      },
    });
    stream.start({
      onBytes: (chunk) => {
        this.#receive(chunk);
      },
      onLost: (error) => {
        void this.#finish({ kind: 'lost', error });
      },
    });
  }

  readonly ask = async (command: string, args: QmpArguments, signal: AbortSignal): Promise<unknown> => {
    const release = this.#take(command);
    try {
      if (signal.aborted) throw noAnswer(command, this.#stream.description, signal.reason);
      if (!this.#isInSync) await this.#sync(signal);
      return await this.#put({ command, args, syncId: null, limit: COMMAND_LIMIT }, signal);
    } finally {
      release();
    }
  };

  /** Waits until the agent answers at all. Rejects with `AgentError`, and then the connection is at its end. */
  async begin(signal: AbortSignal): Promise<void> {
    const release = this.#take(SYNC);
    try {
      await this.#sync(signal);
    } finally {
      release();
    }
  }

  readonly close = (): Promise<void> => this.#finish({ kind: 'closed' });

  #take(command: string): () => void {
    if (this.#end !== null) throw notConnected(this.#stream.description, 'it has ended');
    if (this.#isBusy) throw busy(command, this.#stream.description);
    this.#isBusy = true;
    return () => {
      this.#isBusy = false;
    };
  }

  /** An agent that does not answer this is given up: what was sent to it would only pile up. */
  async #sync(signal: AbortSignal): Promise<void> {
    const id = randomInt(1, SYNC_IDS);
    try {
      await this.#put({ command: SYNC, args: { id }, syncId: id, limit: SYNC_LIMIT }, signal);
      this.#isInSync = true;
    } catch (error) {
      void this.#finish({ kind: 'lost', error: error instanceof Error ? error : new Error(errorText(error)) });
      throw error;
    }
  }

  #put({ command, args, syncId, limit }: Put, signal: AbortSignal): Promise<unknown> {
    const at = this.#stream.description;
    return new Promise((resolve, reject) => {
      const line = Buffer.from(`${JSON.stringify({ execute: command, arguments: args })}\n`);
      this.#bytesLeft = ANSWER_BYTES_MAX;
      this.#stream.send(syncId === null ? line : Buffer.concat([Buffer.of(SENTINEL), line]));
      const stopClock = startDeadline({ clock: this.#clock, limit, signal }, (cause) => {
        this.#isInSync = false;
        this.#settle()?.reject(noAnswer(command, at, cause));
      });
      this.#question = {
        command,
        syncId,
        resolve: (value) => {
          stopClock();
          resolve(value);
        },
        reject: (why) => {
          stopClock();
          reject(why);
        },
      };
    });
  }

  #settle(): Question | null {
    const question = this.#question;
    this.#question = null;
    return question;
  }

  #receive(chunk: Uint8Array): void {
    this.#bytesLeft -= chunk.length;
    if (this.#bytesLeft < 0) this.#endFlood();
    if (this.#end !== null) return;
    this.#decoder.push(chunk, (line) => {
      this.#hear(line);
    });
  }

  #endFlood(): void {
    void this.#finish({ kind: 'lost', error: tooMuch(this.#stream.description, ANSWER_BYTES_MAX) });
  }

  #hear(line: Buffer): void {
    const question = this.#question;
    const sentinel = line.lastIndexOf(SENTINEL);
    if (question === null) this.#isInSync = false;
    else if (question.syncId === null) this.#answer(question, line);
    else if (sentinel >= 0 && returned(line.subarray(sentinel + 1)) === question.syncId)
      this.#settle()?.resolve(question.syncId);
  }

  #answer({ command }: Question, line: Buffer): void {
    const message = decodeAgentMessage(line);
    if (message?.kind === 'return') this.#settle()?.resolve(message.value);
    else if (message?.kind === 'error')
      this.#settle()?.reject(refused(command, message.errorClass, message.description));
    else {
      this.#isInSync = false;
      this.#settle()?.reject(notAnAnswer(command, this.#stream.description, quoted(line.toString('latin1', 0, 400))));
    }
  }

  #finish(end: ConnectionEnd): Promise<void> {
    if (this.#end === null) {
      this.#end = end;
      const why = end.kind === 'lost' ? errorText(end.error) : 'it was closed';
      this.#settle()?.reject(notConnected(this.#stream.description, why));
      this.#tellEnd(end);
    }
    return this.#stream.close();
  }
}

const SYNC = 'guest-sync-delimited';

interface Put {
  readonly command: string;
  readonly args: QmpArguments;
  readonly syncId: number | null;
  readonly limit: Millis;
}

/** What a line returns; undefined where it returns nothing, or is no answer at all. */
function returned(line: Buffer): unknown {
  const message = decodeAgentMessage(line);
  return message?.kind === 'return' ? message.value : undefined;
}
