/** Reads a request's body, at most so much of it. */
import type { IncomingMessage } from 'node:http';

/** Tunables take 10 digits. */
export const BODY_BYTES_MAX = 4096;

export type Body =
  { readonly kind: 'read'; readonly text: string } | { readonly kind: 'too-large' } | { readonly kind: 'cut-short' };

/** Never throws. What comes after the limit is thrown away unread, so that the client can finish and hear the answer. */
export function readBody(request: IncomingMessage): Promise<Body> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= BODY_BYTES_MAX) chunks.push(chunk);
      else resolve({ kind: 'too-large' });
    });
    request.once('end', () => {
      resolve({ kind: 'read', text: Buffer.concat(chunks).toString('utf8') });
    });
    const cutShort = (): void => {
      resolve({ kind: 'cut-short' });
    };
    request.once('error', cutShort);
    request.once('close', cutShort);
  });
}
