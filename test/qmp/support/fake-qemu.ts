/**
 * A QEMU's monitor inside the test, on a real unix socket: honest as long as nobody asks it to misbehave. Its knobs: another greeting
 * or none, answers kept back and given later in any order, answers changed into other bytes, anything sent at any time, nothing read.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { objectIn, type JsonObject } from '../../../src/qmp/fields.js';
import { LineDecoder } from '../../../src/qmp/line-decoder.js';
import { FakeMachine, Refusal, VERSION } from './fake-machine.js';

/** Something that ends, as a test does, and then calls what it was given. */
export interface Ending {
  readonly after: (end: () => Promise<void>) => void;
}

/** What an answer is made into; nothing: silence. */
export type Tamper = (answer: JsonObject, request: JsonObject) => readonly (string | Buffer)[];

/** As QEMU writes it. */
export const line = (message: unknown): string => `${JSON.stringify(message)}\r\n`;

export const GREETING = line({ QMP: { version: VERSION, capabilities: ['oob'] } });

interface Connection {
  readonly socket: Socket;
  isNegotiated: boolean;
}

export class FakeQemu {
  readonly path: string;
  readonly machine = new FakeMachine();
  /** The commands so far, oldest first; `qmp_capabilities` is not among them. */
  readonly requests: JsonObject[] = [];
  /** Answers that are kept back, oldest first. */
  readonly held: (() => void)[] = [];
  readonly connections: Connection[] = [];
  isHolding = false;
  /** Whose answers are kept back then; null: all. */
  heldCommand: string | null = null;
  /** Whether each connection is ended as soon as it is made, as a proxy does when nobody is behind it. */
  hangsUp = false;
  /** Whether `qmp_capabilities` is answered. */
  isNegotiating = true;
  /** What is sent to whoever connects. */
  greeting: readonly string[] = [GREETING];
  tamper: Tamper = (answer) => [line(answer)];
  /** Made for the socket alone, and removed with it; null: the socket is in a folder of somebody else's. */
  readonly #folder: string | null;
  readonly #server: Server;

  /** Listens at `path`, by default in a folder of its own. */
  constructor(path?: string) {
    this.#folder = path === undefined ? mkdtempSync(join(tmpdir(), 'selfballoon-qmp-')) : null;
    this.path = path ?? join(this.#folder ?? '', 'qmp');
    this.machine.emit = (name, data) => {
      this.emit(name, data);
    };
    // Half-open, so that a test can have it end its own half alone.
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.#serve(socket);
    });
  }

  static async start(context: Ending): Promise<FakeQemu> {
    const fake = new FakeQemu();
    await fake.listen();
    context.after(() => fake.stop());
    return fake;
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(this.path, resolve));
  }

  /** Ends as QEMU does: the connections are cut, and nobody listens any more. `listen` begins again. */
  async end(): Promise<void> {
    for (const { socket } of this.connections) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async stop(): Promise<void> {
    await this.end();
    if (this.#folder !== null) rmSync(this.#folder, { recursive: true, force: true });
  }

  /** The newest connection. */
  get last(): Connection {
    const connection = this.connections.at(-1);
    if (connection === undefined) throw new Error('nobody has connected');
    return connection;
  }

  /** The names of the commands so far. */
  get asked(): readonly unknown[] {
    return this.requests.map((request) => request['execute']);
  }

  /** Sends these bytes to the newest connection, whatever they mean. */
  send(...parts: readonly (string | Buffer)[]): void {
    for (const part of parts) this.last.socket.write(part);
  }

  /** Tells those who have negotiated. */
  emit(event: string, data: JsonObject = {}): void {
    const message = line({ timestamp: { seconds: 1_700_000_000, microseconds: 500_000 }, event, data });
    for (const { socket, isNegotiated } of this.connections) {
      if (isNegotiated && !socket.destroyed) socket.write(message);
    }
  }

  /** Gives the answers that were kept back, in the order of these indices, or the oldest first. */
  release(order?: readonly number[]): void {
    const held = this.held.splice(0);
    for (const index of order ?? held.keys()) held[index]?.();
  }

  #serve(socket: Socket): void {
    const connection = { socket, isNegotiated: false };
    this.connections.push(connection);
    const decoder = new LineDecoder();
    socket.on('error', () => undefined);
    socket.on('end', () => socket.end());
    socket.on('data', (chunk) => {
      decoder.push(chunk, (text) => {
        this.#take(connection, objectIn(JSON.parse(text.toString())));
      });
    });
    if (this.hangsUp) socket.end();
    else for (const part of this.greeting) socket.write(part);
  }

  #take(connection: Connection, request: JsonObject): void {
    if (request['execute'] === 'qmp_capabilities') {
      if (!this.isNegotiating) return;
      connection.isNegotiated = true;
      connection.socket.write(line({ return: {}, id: request['id'] }));
      return;
    }
    this.requests.push(request);
    const give = (): void => {
      const answer = connection.isNegotiated ? this.#answer(request) : NOT_NEGOTIATED;
      for (const part of this.tamper(answer, request)) connection.socket.write(part);
    };
    const isHeld = this.isHolding && (this.heldCommand ?? request['execute']) === request['execute'];
    if (isHeld) this.held.push(give);
    else give();
  }

  #answer({ execute, arguments: args, id }: JsonObject): JsonObject {
    try {
      const command = this.machine.commands.get(String(execute));
      if (command === undefined)
        throw new Refusal('CommandNotFound', `The command ${String(execute)} has not been found`);
      return { return: command(objectIn(args)), id };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { id, error: { class: error.errorClass, desc: error.description } };
    }
  }
}

const NOT_NEGOTIATED = {
  error: { class: 'CommandNotFound', desc: "Expecting capabilities negotiation with 'qmp_capabilities'" },
};
