/**
 * The connection to xenstored over its unix socket, as programs in the control domain have it. It carries bytes and does not
 * know what they say.
 */
import { connectUnixSocket as connectTo, type SocketErrors } from '../connection/unix-socket.js';
import { errorText, systemErrorCode } from '../errors.js';
import { PAYLOAD_BYTES_MAX } from './codec.js';
import { XenstoreError, type XenstoreCode } from './errors.js';
import type { Transport } from './transport.js';

/**
 * Connects to xenstored's socket. Rejects with `XenstoreError`: EUNAVAILABLE where none answers, EACCES where this user may not,
 * ETIMEDOUT when `signal` is aborted before there is a connection.
 */
export async function connectUnixSocket(path: string, signal: AbortSignal): Promise<Transport> {
  const stream = await connectTo(path, signal, ERRORS);
  return {
    description: path,
    payloadBytesMax: PAYLOAD_BYTES_MAX,
    answersWatchesById: true,
    start: (listener) => {
      stream.start(listener);
    },
    send: (message) => {
      stream.send(message);
    },
    close: () => stream.close(),
  };
}

const tooLate = (path: string, reason: unknown): XenstoreError =>
  new XenstoreError({
    xenstoreCode: 'ETIMEDOUT',
    message: `there was no connection to xenstored on ${path} in time`,
    advice: 'See whether xenstored hangs',
    cause: reason,
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

const ERRORS: SocketErrors<XenstoreError> = { notConnected, tooLate, lost };
