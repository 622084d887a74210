/** The connection to a QEMU over the unix socket of its QMP monitor. It carries bytes and does not know what they say. */
import { createConnection, type Socket } from 'node:net';
import { errorText, systemErrorCode } from '../errors.js';
import { QmpError } from './errors.js';
import type { Transport, TransportListener } from './transport.js';

/**
 * Most bytes that are kept for a QEMU that does not read them, besides what the kernel keeps in the socket. A stopped QEMU must not
 * make us grow; commands of a balloon are some 100 bytes long.
 */
export const UNREAD_BYTES_MAX = 256 * 1024;

/**
 * Connects to the socket at `path`. Rejects with `QmpError`: EUNAVAILABLE where none answers, EACCES where this user may not,
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
    // One that says no more may not read any more either, and what is left to send would hold the socket open for ever.
    socket.on('end', () => socket.destroy());
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
  send(line: Buffer): boolean {
    if (this.#socket.writableLength + line.length > UNREAD_BYTES_MAX) return false;
    if (!this.#isGathering) {
      this.#isGathering = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#isGathering = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(line);
    return true;
  }

  close(): Promise<void> {
    this.#isClosing = true;
    this.#socket.destroy();
    return this.#gone;
  }
}

const tooLate = (path: string, signal: AbortSignal): QmpError =>
  new QmpError({
    qmpCode: 'ETIMEDOUT',
    message: `there was no connection to QEMU on ${path} in time`,
    advice: 'See whether its process is stopped',
    cause: signal.reason,
  });

const ADVICE: Readonly<Record<string, string>> = {
  EACCES: 'Only root, or the user that QEMU runs as, may connect',
  EPERM: 'Only root, or the user that QEMU runs as, may connect',
  EAGAIN:
    'Others wait there already: a QMP socket serves one client at a time, so give QEMU one for this program alone',
};

function notConnected(path: string, cause: unknown): QmpError {
  const code = systemErrorCode(cause) ?? '';
  return new QmpError({
    qmpCode: code === 'EACCES' || code === 'EPERM' ? 'EACCES' : 'EUNAVAILABLE',
    message: `connecting to QEMU on ${path} failed: ${errorText(cause)}`,
    advice: ADVICE[code] ?? `Does the virtual machine run, with -qmp unix:${path},server=on,wait=off?`,
    cause,
  });
}

const lost = (path: string, cause: unknown): QmpError =>
  new QmpError({
    qmpCode: 'EUNAVAILABLE',
    message: `QEMU ended the connection on ${path}${cause === null ? '' : `: ${errorText(cause)}`}`,
    advice: 'As a rule the virtual machine has ended, or was moved to another host',
    ...(cause === null ? {} : { cause }),
  });
