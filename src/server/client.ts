/** The command line's side of the socket: one request, one answer, with limits on time and size. */
import type { ClientRequest, IncomingMessage } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { errorText, SelfballoonError, systemErrorCode } from '../errors.js';
import { request as httpRequest } from './node-http.js';

export interface ClientAnswer {
  /** The HTTP status. */
  readonly status: number;
  readonly body: string;
}

export interface ClientOptions {
  /** Ends the request early. */
  readonly signal?: AbortSignal;
  /** Default 5000. */
  readonly limitMs?: number;
}

const LIMIT_MS = 5000;
const TRY_AGAIN_AFTER_MS = 20;
/** A status of some thousand guests. */
const BODY_BYTES_MAX = 8 * 1024 * 1024;

/**
 * Asks the daemon. Any HTTP status is an answer. Throws `SelfballoonError`: `EUNAVAILABLE` where no daemon answers, `EPERM`
 * where this user may not open the socket, `ETIMEDOUT` after 5 s, `EIO` for an answer that is too large or cut short.
 */
export async function request(
  socketPath: string,
  method: 'GET' | 'PUT' | 'POST',
  path: string,
  body?: string,
  options: ClientOptions = {},
): Promise<ClientAnswer> {
  const limit = AbortSignal.timeout(options.limitMs ?? LIMIT_MS);
  const signal = options.signal === undefined ? limit : AbortSignal.any([limit, options.signal]);
  const headers = { Host: 'selfballoon', 'Content-Length': Buffer.byteLength(body ?? '') };
  for (;;) {
    try {
      return await answerTo(httpRequest({ socketPath, method, path, headers, signal, agent: false }), body);
    } catch (error) {
      if (error instanceof SelfballoonError) throw error;
      if (!isQueueFull(error) || signal.aborted) throw failure(socketPath, error, limit.aborted);
    }
    await wait(TRY_AGAIN_AFTER_MS);
  }
}

/** More clients wait to be let in than the kernel queues. It passes, and nothing has been sent yet. */
const isQueueFull = (error: unknown): boolean => systemErrorCode(error) === 'EAGAIN';

function answerTo(asked: ClientRequest, body: string | undefined): Promise<ClientAnswer> {
  return new Promise((resolve, reject) => {
    asked.once('error', reject);
    asked.once('response', (response) => {
      readAnswer(response).then(resolve, (error: unknown) => {
        asked.destroy();
        reject(error instanceof Error ? error : new Error(errorText(error)));
      });
    });
    asked.end(body);
  });
}

async function readAnswer(response: IncomingMessage): Promise<ClientAnswer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response) {
    if (!Buffer.isBuffer(chunk)) continue;
    length += chunk.length;
    if (length > BODY_BYTES_MAX) {
      throw new SelfballoonError({
        code: 'EIO',
        message: `the daemon's answer is larger than ${BODY_BYTES_MAX} bytes`,
        advice: 'Check that it is selfballoon that answers on the socket',
      });
    }
    chunks.push(chunk);
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') };
}

function failure(socketPath: string, error: unknown, isLate: boolean): SelfballoonError {
  if (isLate) {
    return new SelfballoonError({
      code: 'ETIMEDOUT',
      message: `the daemon on ${socketPath} did not answer in time`,
      advice: 'Look at its log; restart it if it hangs',
      cause: error,
    });
  }
  const code = systemErrorCode(error);
  if (code === 'ENOENT' || code === 'ECONNREFUSED') {
    return new SelfballoonError({
      code: 'EUNAVAILABLE',
      message: `no daemon answers on ${socketPath}`,
      advice: 'Is the daemon running? Start it with `selfballoon run`',
      cause: error,
    });
  }
  if (code === 'EACCES') {
    return new SelfballoonError({
      code: 'EPERM',
      message: `this user may not open ${socketPath}`,
      advice: 'Run the command as root, or as the user who runs the daemon',
      cause: error,
    });
  }
  return new SelfballoonError({
    code: 'EIO',
    message: `asking the daemon on ${socketPath} failed: ${errorText(error)}`,
    advice: 'Look at its log',
    cause: error,
  });
}
