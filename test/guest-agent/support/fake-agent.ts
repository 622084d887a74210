/**
 * A guest's agent inside the test: its files, its handles, its words, as qemu-ga 7.2 has them. It answers in place, or on a real unix
 * socket. Its knobs: answers changed into other bytes, answers kept back, commands switched off.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AgentChannel } from '../../../src/guest-agent/channel.js';
import { noAnswer, notConnected, refused } from '../../../src/guest-agent/errors.js';
import { objectIn, type JsonObject } from '../../../src/qmp/fields.js';
import { procText } from '../../signals/proc-roots.js';
import type { Ending } from '../../qmp/support/fake-qemu.js';

/** What an answer is made into; nothing: silence. */
export type Tamper = (answer: JsonObject, request: JsonObject) => readonly (string | Buffer)[];

export const line = (message: unknown): string => `${JSON.stringify(message)}\n`;

const FILE_COMMANDS = ['guest-file-open', 'guest-file-seek', 'guest-file-read', 'guest-file-close'];
const SENTINEL = Buffer.of(0xff);

export interface OpenFile {
  readonly path: string;
  position: number;
  text: Buffer;
}

export class FakeAgent {
  /** By path; what is not here is missing in the guest. */
  readonly files = new Map<string, string>();
  /** Commands that its administrator has switched off. */
  readonly switchedOff = new Set<string>();
  readonly handles = new Map<number, OpenFile>();
  readonly requests: JsonObject[] = [];
  readonly connections: Socket[] = [];
  /** Answers that are kept back, oldest first. */
  readonly held: (() => void)[] = [];
  isHolding = false;
  /** Nobody is there: who asks in place is told so at once. */
  isGone = false;
  tamper: Tamper = (answer) => [line(answer)];
  #lastHandle = 999;

  constructor(machine = 'linux-6.18') {
    for (const name of ['meminfo', 'vmstat', 'zoneinfo', 'pressure/memory'])
      this.files.set(`/proc/${name}`, procText(machine, name));
  }

  /** Changes one number of a file, as the guest's kernel would. */
  set(path: string, name: string, value: number): void {
    const text = this.files.get(path) ?? '';
    this.files.set(path, text.replace(new RegExp(`^(${name}:? +)\\d+`, 'm'), `$1${value}`));
  }

  /** The agent is another one now: what it had open is gone. Its counter is in its state file. */
  restart(): void {
    this.handles.clear();
  }

  /** The guest has booted: the state file is gone too, and handles are counted from the beginning. */
  reboot(): void {
    this.restart();
    this.#lastHandle = 999;
  }

  /** Another client opens files, and stands where it has read to. */
  openForOther(path: string, text: string, position: number): OpenFile {
    this.#lastHandle += 1;
    const file = { path, position, text: Buffer.from(text) };
    this.handles.set(this.#lastHandle, file);
    return file;
  }

  /** The names of the commands so far. */
  get asked(): readonly unknown[] {
    return this.requests.map(({ execute }) => execute);
  }

  /** Asked in place, without a socket. Where `tamper` says nothing, there is no answer before the caller gives up. */
  readonly channel: AgentChannel = {
    ask: (command, args, signal) => {
      const request = { execute: command, arguments: args };
      this.requests.push(request);
      if (this.isGone) return Promise.reject(notConnected('here', 'nobody listens'));
      if (signal.aborted) return Promise.reject(noAnswer(command, 'here', signal.reason));
      const [said] = this.tamper(this.answer(request), request);
      if (said === undefined || this.isHolding) return givenUp(command, signal);
      const { return: value, error } = objectIn(JSON.parse(said.toString()));
      if (error === undefined) return Promise.resolve(value);
      const { class: errorClass, desc } = objectIn(error);
      return Promise.reject(refused(command, String(errorClass), String(desc)));
    },
  };

  answer({ execute, arguments: args }: JsonObject): JsonObject {
    const command = String(execute);
    const given = objectIn(args);
    if (this.switchedOff.has(command))
      return failure('CommandNotFound', `Command ${command} has been disabled: the command is not allowed`);
    if (command === 'guest-sync-delimited') return { return: given['id'] };
    if (command === 'guest-info') return { return: this.#info() };
    if (command === 'guest-file-open') return this.#open(String(given['path']));
    const file = this.handles.get(Number(given['handle']));
    if (!FILE_COMMANDS.includes(command))
      return failure('CommandNotFound', `The command ${command} has not been found`);
    if (file === undefined) return failure('GenericError', `handle '${String(given['handle'])}' has not been found`);
    if (command === 'guest-file-read') return readFrom(file, Number(given['count']));
    if (command === 'guest-file-seek' && given['whence'] === 1)
      return { return: { position: file.position, eof: false } };
    if (command === 'guest-file-seek') return this.#rewind(file);
    this.handles.delete(Number(given['handle']));
    return { return: {} };
  }

  /** Listens until the test ends; gives the socket's path. */
  async listen(test: Ending): Promise<string> {
    const folder = mkdtempSync(join(tmpdir(), 'selfballoon-agent-'));
    const path = join(folder, 'agent');
    const server = createServer((socket) => {
      this.#serve(socket);
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    test.after(() => this.#end(server, folder));
    return path;
  }

  /** Sends these bytes to whoever came last, whatever they mean. */
  send(...parts: readonly (string | Buffer)[]): void {
    for (const part of parts) this.connections.at(-1)?.write(part);
  }

  /** Gives the answers that were kept back. */
  release(): void {
    this.isHolding = false;
    for (const give of this.held.splice(0)) give();
  }

  #info(): unknown {
    const all = ['guest-sync-delimited', 'guest-info', ...FILE_COMMANDS];
    const commands = all.map((name) => ({ name, enabled: !this.switchedOff.has(name), 'success-response': true }));
    return { version: '7.2.22', supported_commands: commands };
  }

  #open(path: string): JsonObject {
    const text = this.files.get(path);
    if (text === undefined)
      return failure('GenericError', `failed to open file '${path}' (mode: 'r'): No such file or directory`);
    this.#lastHandle += 1;
    this.handles.set(this.#lastHandle, { path, position: 0, text: Buffer.from(text) });
    return { return: this.#lastHandle };
  }

  /** The kernel makes the text anew only where the handle stood at its end: in between it is C's buffer that is rewound. */
  #rewind(file: OpenFile): JsonObject {
    const isInBuffer = file.position > 0 && file.position < file.text.length;
    if (!isInBuffer) file.text = Buffer.from(this.files.get(file.path) ?? '');
    file.position = 0;
    return { return: { position: 0, eof: false } };
  }

  #serve(socket: Socket): void {
    this.connections.push(socket);
    let held = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      held = Buffer.concat([held, chunk]);
      for (let end = held.indexOf('\n'); end >= 0; end = held.indexOf('\n')) {
        this.#take(socket, held.subarray(0, end));
        held = held.subarray(end + 1);
      }
    });
  }

  #take(socket: Socket, said: Buffer): void {
    const sentinel = said.lastIndexOf(SENTINEL);
    // As seen: the agent takes the byte for text that is no JSON, says so, and begins anew.
    if (sentinel >= 0) socket.write(line(failure('GenericError', "JSON parse error, stray '\\uFFFD'")));
    const request = objectIn(JSON.parse(said.subarray(sentinel + 1).toString()));
    this.requests.push(request);
    const give = (): void => {
      const isDelimited = request['execute'] === 'guest-sync-delimited';
      const parts = this.tamper(this.answer(request), request);
      if (isDelimited && parts.length > 0) socket.write(SENTINEL);
      for (const part of parts) socket.write(part);
    };
    if (this.isHolding) this.held.push(give);
    else give();
  }

  async #end(server: Server, folder: string): Promise<void> {
    for (const socket of this.connections) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true, force: true });
  }
}

const failure = (errorClass: string, desc: string): JsonObject => ({ error: { class: errorClass, desc } });

function readFrom(file: OpenFile, count: number): JsonObject {
  const bytes = file.text.subarray(file.position, file.position + count);
  file.position += bytes.length;
  const eof = bytes.length < count;
  return { return: { count: bytes.length, 'buf-b64': bytes.toString('base64'), eof } };
}

function givenUp(command: string, signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => {
      reject(noAnswer(command, 'here', signal.reason));
    });
  });
}
