/**
 * The connection to xenstored over its unix socket, as programs in the control domain have it. It carries bytes and does not
 * know what they say.
 */
import { createConnection, type Socket } from 'node:net';
import { errorText, systemErrorCode } from '../errors.js';
import { PAYLOAD_BYTES_MAX } from './codec.js';
import { XenstoreError, type XenstoreCode } from './errors.js';
import type { Transport, TransportListener } from './transport.js';

/** Where xenstored listens, on Debian's Xen 4.17 and others with `/run`. */
export const XENSTORED_SOCKET = '/run/xenstored/socket';

/**
 * Connects to xenstored's socket. Rejects with `XenstoreError`: EUNAVAILABLE where none answers, EACCES where this user may not,
 * ETIMEDOUT when `signal` is aborted before there is a connection.
 */
export async function connectUnixSocket(path: string, signal: AbortSignal): Promise<Transport> {
  const socket = createConnection({ path });
  try {
    await connected(path, socket, signal);
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return new UnixSocket(path, socket);
}

function connected(path: string, socket: Socket, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      reject(tooLate(path, signal));
    };
    const onError = (error: Error): void => {
      signal.removeEventListener('abort', onAbort);
      reject(notConnected(path, error));
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

class UnixSocket implements Transport {
  readonly payloadBytesMax = PAYLOAD_BYTES_MAX;
  readonly answersWatchesById = true;
  readonly #socket: Socket;
  readonly #gone: Promise<void>;
  #isClosing = false;
  #isGathering = false;
  #error: unknown = null;

  constructor(
    readonly description: string,
    socket: Socket,
  ) {
    this.#socket = socket;
    // The reason is told with the end that follows it.
    socket.on('error', (error) => (this.#error = error));
    this.#gone = new Promise((resolve) => {
      socket.once('close', () => {
        resolve();
      });
    });
  }

  start({ onBytes, onLost }: TransportListener): void {
    this.#socket.on('data', onBytes);
    void this.#gone.then(() => {
      if (!this.#isClosing) onLost(lost(this.description, this.#error));
    });
  }

  /** What is sent in one turn of the event loop goes out in one write. */
  send(message: Buffer): void {
    if (!this.#isGathering) {
      this.#isGathering = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#isGathering = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(message);
  }

  close(): Promise<void> {
    this.#isClosing = true;
    this.#socket.destroy();
    return this.#gone;
  }
}

const tooLate = (path: string, signal: AbortSignal): XenstoreError =>
  new XenstoreError({
    xenstoreCode: 'ETIMEDOUT',
    message: `there was no connection to xenstored on ${path} in time`,
    advice: 'See whether xenstored hangs',
    cause: signal.reason,
  });

function notConnected(path: string, cause: unknown): XenstoreError {
  const code = systemErrorCode(cause);
  const isForbidden = code === 'EACCES' || code === 'EPERM';
  const xenstoreCode: XenstoreCode = isForbidden ? 'EACCES' : 'EUNAVAILABLE';
  return new XenstoreError({
    xenstoreCode,
    message: `connecting to xenstored on ${path} failed: ${errorText(cause)}`,
    advice: isForbidden
      ? 'Only root may speak with xenstored'
      : 'Is xenstored running, and is this the control domain?',
    cause,
  });
}

const lost = (path: string, cause: unknown): XenstoreError =>
  new XenstoreError({
    xenstoreCode: 'EUNAVAILABLE',
    message: `xenstored ended the connection on ${path}${cause === null ? '' : `: ${errorText(cause)}`}`,
    advice: 'See whether xenstored still runs; as a rule it cannot be started again without starting the host again',
    ...(cause === null ? {} : { cause }),
  });
