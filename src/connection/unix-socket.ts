/**
 * A connection over a unix socket on this machine. It carries bytes, and knows neither who is at the other end nor what is said: the
 * words for what goes wrong are given by whoever does.
 */
import { createConnection, type Socket } from 'node:net';
import { peerOf } from '../posix/peer.js';

/** What went wrong, in the words of whoever knows what the socket leads to. */
export interface SocketErrors<Failure extends Error> {
  /** No connection came about, because of `cause`. */
  readonly notConnected: (path: string, cause: unknown) => Failure;
  /** No connection had come about when `reason` ended the wait. */
  readonly tooLate: (path: string, reason: unknown) => Failure;
  /** The other side ended it. `cause` is null where it did so in order. */
  readonly lost: (path: string, cause: unknown) => Failure;
}

/** The same for whoever does not believe everybody. */
export interface BelieverErrors<Failure extends Error> extends SocketErrors<Failure> {
  /** A connection came about, and was ended, because of `why`. */
  readonly notBelieved: (path: string, why: string) => Failure;
}

/** Why the process that serves a socket is not believed, null for one that is not known; null: it is. A sentence without a full stop. */
export type PeerCheck = (peer: number | null) => string | null;

export interface SocketListener<Failure extends Error> {
  /** Bytes came, in whatever pieces. Their memory is used again when the call is over. */
  readonly onBytes: (chunk: Uint8Array) => void;
  /** The connection has ended, and not because `close` was called. Called at most once. */
  readonly onLost: (why: Failure) => void;
}

export interface ByteStream<Failure extends Error> {
  /** For messages: the path of the socket. */
  readonly description: string;
  /** Bytes that were sent and that the kernel has not taken yet. */
  readonly unsentBytes: number;
  /** The process that began to listen on the socket; null: the kernel does not say, or the connection has ended. */
  peerPid(): number | null;
  /** Begins to receive. Called once; until then nothing that comes is lost. */
  start(listener: SocketListener<Failure>): void;
  /** Receives nothing more until `resume`; what comes meanwhile waits with whoever sends it. */
  pause(): void;
  resume(): void;
  /** Sends these bytes, after those before them. What is sent in one turn of the event loop goes out in one write. */
  send(bytes: Buffer): void;
  /** Ends the connection. It may be called again. */
  close(): Promise<void>;
}

/**
 * What comes is read into it, over whichever socket, and has been used when the next comes: Node.js would otherwise allocate as much for
 * each read, and collect garbage for it.
 */
const RECEIVED = Buffer.alloc(64 * 1024);

/** Connects to the socket at `path`. Rejects with what `errors` makes: also when `signal` is aborted before there is a connection. */
export async function connectUnixSocket<Failure extends Error>(
  path: string,
  signal: AbortSignal,
  errors: SocketErrors<Failure>,
): Promise<ByteStream<Failure>> {
  const unixSocket = new UnixSocket(path, (cause) => errors.lost(path, cause));
  try {
    await connected(unixSocket.socket, signal, {
      tooLate: () => errors.tooLate(path, signal.reason),
      notConnected: (cause) => errors.notConnected(path, cause),
    });
  } catch (error) {
    unixSocket.socket.destroy();
    throw error;
  }
  return unixSocket;
}

/** The same, where whoever serves the socket must be believed before anything is sent or read: `errors` says too that he is not. */
export async function connectToBelieved<Failure extends Error>(
  path: string,
  signal: AbortSignal,
  errors: BelieverErrors<Failure>,
  whyNot: PeerCheck,
): Promise<ByteStream<Failure>> {
  const stream = await connectUnixSocket(path, signal, errors);
  const why = whyNot(stream.peerPid());
  if (why === null) return stream;
  await stream.close();
  throw errors.notBelieved(path, why);
}

interface Refusals {
  readonly tooLate: () => Error;
  readonly notConnected: (cause: unknown) => Error;
}

function connected(socket: Socket, signal: AbortSignal, { tooLate, notConnected }: Refusals): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      reject(tooLate());
    };
    const onError = (error: Error): void => {
      signal.removeEventListener('abort', onAbort);
      reject(notConnected(error));
    };
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('error', onError);
    socket.once('connect', () => {
      signal.removeEventListener('abort', onAbort);
      socket.off('error', onError);
      resolve();
    });
  });
}

class UnixSocket<Failure extends Error> implements ByteStream<Failure> {
  readonly description: string;
  readonly socket: Socket;
  readonly #lost: (cause: unknown) => Failure;
  readonly #gone: Promise<void>;
  #isClosing = false;
  #error: unknown = null;
  #onBytes: SocketListener<Failure>['onBytes'] = () => undefined;
  /** What goes out at the end of this turn of the event loop. */
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;

  /** Begins to connect. */
  constructor(path: string, lost: (cause: unknown) => Failure) {
    this.description = path;
    this.#lost = lost;
    const callback = (length: number): boolean => {
      this.#onBytes(RECEIVED.subarray(0, length));
      return true;
    };
    const socket = createConnection({ path, onread: { buffer: RECEIVED, callback } });
    this.socket = socket;
    // Until it is started, what comes stays in the kernel.
    socket.pause();
    // The reason is told with the end that follows it.
    socket.on('error', (error) => (this.#error = error));
    // One that says no more may not read any more either, and what is left to send would hold the socket open for ever.
    socket.on('end', () => socket.destroy());
    this.#gone = new Promise((resolve) => {
      socket.once('close', () => {
        resolve();
      });
    });
  }

  get unsentBytes(): number {
    return this.socket.writableLength + this.#gatheredBytes;
  }

  peerPid(): number | null {
    const peer = peerOf(this.socket);
    // 0: it runs where this process cannot see it.
    return peer.kind === 'known' && peer.pid > 0 ? peer.pid : null;
  }

  start({ onBytes, onLost }: SocketListener<Failure>): void {
    this.#onBytes = onBytes;
    this.socket.resume();
    void this.#gone.then(() => {
      if (!this.#isClosing) onLost(this.#lost(this.#error));
    });
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  send(bytes: Buffer): void {
    if (this.#gathered.length === 0) {
      process.nextTick(() => {
        this.#sendGathered();
      });
    }
    this.#gathered.push(bytes);
    this.#gatheredBytes += bytes.length;
  }

  /** One buffer: a vector of two short ones costs more than a copy. */
  #sendGathered(): void {
    const gathered = this.#gathered;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.socket.write(Buffer.concat(gathered));
  }

  close(): Promise<void> {
    this.#isClosing = true;
    this.socket.destroy();
    return this.#gone;
  }
}
