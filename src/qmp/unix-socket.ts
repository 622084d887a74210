/** The connection to a QEMU over the unix socket of its QMP monitor. It carries bytes and does not know what they say. */
import { connectUnixSocket as connectTo, type SocketErrors } from '../connection/unix-socket.js';
import { errorText, systemErrorCode } from '../errors.js';
import { QmpError } from './errors.js';
import type { Transport } from './transport.js';

/**
 * Most bytes that are kept for a QEMU that does not read them, besides what the kernel keeps in the socket. A stopped QEMU must not
 * make us grow; commands of a balloon are some 100 bytes long.
 */
export const UNREAD_BYTES_MAX = 256 * 1024;

/** `sun_path` has 108 with the zero at its end. The kernel is not even asked for a longer one, and Node.js calls it missing. */
const PATH_BYTES_MAX = 107;

/**
 * Connects to the socket at `path`. Rejects with `QmpError`: EUNAVAILABLE where none answers, EACCES where this user may not,
 * ETIMEDOUT when `signal` is aborted before there is a connection.
 */
export async function connectUnixSocket(path: string, signal: AbortSignal): Promise<Transport> {
  const stream = await connectTo(path, signal, ERRORS);
  return {
    description: path,
    peerPid: () => stream.peerPid(),
    start: (listener) => {
      stream.start(listener);
    },
    pause: () => {
      stream.pause();
    },
    resume: () => {
      stream.resume();
    },
    send: (line) => {
      if (stream.unsentBytes + line.length > UNREAD_BYTES_MAX) return false;
      stream.send(line);
      return true;
    },
    close: () => stream.close(),
  };
}

const tooLate = (path: string, reason: unknown): QmpError =>
  new QmpError({
    qmpCode: 'ETIMEDOUT',
    message: `there was no connection to QEMU on ${path} in time`,
    advice: 'See whether its process is stopped',
    cause: reason,
  });

const ADVICE: Readonly<Record<string, string>> = {
  EACCES: 'Only root, or the user that QEMU runs as, may connect',
  EPERM: 'Only root, or the user that QEMU runs as, may connect',
  EAGAIN:
    'Others wait there already: a QMP socket serves one client at a time, so give QEMU one for this program alone',
};

function notConnected(path: string, cause: unknown): QmpError {
  if (Buffer.byteLength(path) > PATH_BYTES_MAX) return tooLong(path);
  const code = systemErrorCode(cause) ?? '';
  return new QmpError({
    qmpCode: code === 'EACCES' || code === 'EPERM' ? 'EACCES' : 'EUNAVAILABLE',
    message: `connecting to QEMU on ${path} failed: ${errorText(cause)}`,
    advice: ADVICE[code] ?? `Does the virtual machine run, with -qmp unix:${path},server=on,wait=off?`,
    cause,
  });
}

/** Without its cause, by which it would be a socket at which nobody listens any more. */
const tooLong = (path: string): QmpError =>
  new QmpError({
    qmpCode: 'EUNAVAILABLE',
    message: `connecting to QEMU on ${path} failed: a unix socket's path may have at most ${PATH_BYTES_MAX} bytes, and this has ${Buffer.byteLength(path)}`,
    advice: 'Name it by a shorter path, such as one through a link to its folder',
  });

const lost = (path: string, cause: unknown): QmpError =>
  new QmpError({
    qmpCode: 'EUNAVAILABLE',
    message: `QEMU ended the connection on ${path}${cause === null ? '' : `: ${errorText(cause)}`}`,
    advice: 'As a rule the virtual machine has ended, or was moved to another host',
    ...(cause === null ? {} : { cause }),
  });

const ERRORS: SocketErrors<QmpError> = { notConnected, tooLate, lost };
