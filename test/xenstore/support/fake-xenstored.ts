/**
 * A xenstored inside the test, on a real unix socket: honest as long as nobody asks it to misbehave. Its knobs: keep answers back
 * and give them later in any order, change answers into other bytes, send anything at any time, cut the connection.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeFrame, type Frame } from '../../../src/xenstore/codec.js';
import { FrameDecoder } from '../../../src/xenstore/frame-decoder.js';
import { FakeSession, type FakeWorld } from './fake-session.js';
import { FakeStore, Refusal } from './fake-store.js';

/** What an answer is made into; nothing: silence. */
export type Tamper = (answer: Frame, request: Frame) => readonly Buffer[];

/** Something that ends, as a test does, and then calls what it was given. */
export interface Ending {
  readonly after: (end: () => Promise<void>) => void;
}

interface Connection {
  readonly socket: Socket;
  readonly session: FakeSession;
}

export class FakeXenstored {
  readonly path: string;
  /** The requests so far, oldest first. */
  readonly requests: Frame[] = [];
  /** Answers that are kept back, oldest first. */
  readonly held: (() => void)[] = [];
  isHolding = false;
  tamper: Tamper = (answer) => [encodeFrame(answer)];
  /** The domain that the next connections come from. */
  domid = 0;
  readonly world: FakeWorld;
  readonly connections: Connection[] = [];
  readonly #folder = mkdtempSync(join(tmpdir(), 'selfballoon-xenstore-'));
  readonly #server: Server;

  constructor() {
    this.path = join(this.#folder, 'socket');
    const changed = (path: string): void => {
      this.fire(path);
    };
    this.world = { store: new FakeStore(), domains: new Set([0]), watchesMax: 128, transactionsMax: 10, changed };
    this.#server = createServer((socket) => {
      this.serve(socket);
    });
  }

  static async start(context: Ending): Promise<FakeXenstored> {
    const fake = new FakeXenstored();
    await new Promise<void>((resolve) => fake.#server.listen(fake.path, resolve));
    context.after(() => fake.stop());
    return fake;
  }

  async stop(): Promise<void> {
    for (const { socket } of this.connections) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Speaks with whoever is at the other end of `socket`. */
  serve(socket: Socket): void {
    const connection = { socket, session: new FakeSession(this.world, this.domid) };
    this.connections.push(connection);
    const decoder = new FrameDecoder();
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      decoder.push(chunk, (frame) => {
        this.#answer(connection, frame);
      });
    });
  }

  /** The newest connection. */
  get last(): Connection {
    const connection = this.connections.at(-1);
    if (connection === undefined) throw new Error('nobody has connected');
    return connection;
  }

  /** An answer as it should be, for tampering with others only. */
  honestly(answer: Frame): readonly Buffer[] {
    return [encodeFrame(answer)];
  }

  /** Sends these bytes to the newest connection, whatever they mean. */
  send(...parts: readonly Buffer[]): void {
    for (const part of parts) this.last.socket.write(part);
  }

  /** Tells every connection that something has changed at `path`. */
  fire(path: string): void {
    for (const { socket, session } of this.connections) {
      for (const fired of session.fired(path)) {
        if (!socket.destroyed) socket.write(watchEvent(fired.path, fired.watch.token));
      }
    }
  }

  /** Gives the answers that were kept back, in the order of these indices, or the oldest first. */
  release(order?: readonly number[]): void {
    const held = this.held.splice(0);
    for (const index of order ?? held.keys()) held[index]?.();
  }

  #answer({ socket, session }: Connection, request: Frame): void {
    this.requests.push(request);
    const answer = answerOf(session, request);
    const give = (): void => {
      for (const part of this.tamper(answer, request)) socket.write(part);
      if (request.operation === 'WATCH' && answer.operation === 'WATCH') this.#fireFirst(socket, session);
    };
    if (this.isHolding) this.held.push(give);
    else give();
  }

  /** A new watch is told once of its own path. */
  #fireFirst(socket: Socket, session: FakeSession): void {
    const watch = session.watches.at(-1);
    if (watch !== undefined) socket.write(watchEvent(watch.given, watch.token));
  }
}

function answerOf(session: FakeSession, request: Frame): Frame {
  try {
    return { ...request, payload: session.handle(request) };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { ...request, operation: 'ERROR', payload: Buffer.from(`${error.word}\0`) };
  }
}

/** The bytes of a watch event. */
export const watchEvent = (path: string, token: string): Buffer =>
  encodeFrame({
    operation: 'WATCH_EVENT',
    requestId: 0,
    transactionId: 0,
    payload: Buffer.from(`${path}\0${token}\0`),
  });
