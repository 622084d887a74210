/** What the commands that talk to a running daemon share: finding it, and turning its refusals into errors. */
import { resolve } from 'node:path';
import { loadConfig } from '../../config/index.js';
import { SelfballoonError, visible, type ErrorCode } from '../../errors.js';
import { request, type ClientAnswer } from '../../server/client.js';
import { defaultSocketPath } from '../../server/socket-path.js';

export interface AskFlags {
  readonly socket?: string;
  readonly config?: string;
}

/** The socket given, else the configured one, else the default place. */
export async function socketPathOf({ socket, config }: AskFlags): Promise<string> {
  if (socket !== undefined) return resolve(socket);
  const loaded = await loadConfig({ file: config ?? null, env: process.env, flags: {} });
  return loaded.config.socketPath ?? defaultSocketPath(process.env);
}

const CODES: Readonly<Record<string, ErrorCode>> = {
  EPERM: 'EPERM',
  EINVAL: 'EINVAL',
  ENOENT: 'ENOENT',
  ETIMEDOUT: 'ETIMEDOUT',
  EUNAVAILABLE: 'EUNAVAILABLE',
};

/** Asks the daemon, and throws what it refused as `SelfballoonError` with the same code. */
export async function ask(
  flags: AskFlags,
  method: 'GET' | 'PUT' | 'POST',
  path: string,
  body?: string,
): Promise<string> {
  return bodyOf(await request(await socketPathOf(flags), method, path, body));
}

/** What was answered. Throws a refusal as `SelfballoonError` with the same code. */
export function bodyOf(answer: ClientAnswer): string {
  if (answer.status >= 400) throw refusal(answer);
  return answer.body;
}

function refusal({ status, body }: ClientAnswer): SelfballoonError {
  const said = decodeRefusal(body);
  const code = CODES[said.code] ?? 'EIO';
  return new SelfballoonError({
    code,
    message: visible(`${said.code}: ${said.message ?? `the daemon answered ${status}`}`),
  });
}

function decodeRefusal(body: string): { readonly code: string; readonly message: string | null } {
  try {
    const decoded: unknown = JSON.parse(body);
    if (typeof decoded === 'object' && decoded !== null && 'code' in decoded && 'message' in decoded) {
      return { code: String(decoded.code), message: String(decoded.message) };
    }
  } catch {
    // Not JSON: another program answers there. The status alone is told.
  }
  return { code: 'EIO', message: null };
}
