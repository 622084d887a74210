/** How the server answers: JSON with a length, one request a connection, and the codes of refused commands as HTTP statuses. */
import type { ServerResponse } from 'node:http';
import type { CommandAnswer } from '../runtime/commands.js';
import { STATUS_CODES } from './node-http.js';

/** An error's code as the client sees it. */
export type RefusalCode =
  Exclude<CommandAnswer['result'], 'ok'> | 'EMETHOD' | 'ETOOLARGE' | 'EBADREQUEST' | 'ETIMEDOUT' | 'EIO';

export interface Refusal {
  readonly status: number;
  readonly code: RefusalCode;
  readonly message: string;
}

/** `Connection: close` keeps a client from holding one of the few connections between its requests. */
const HEADERS = { Connection: 'close', 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' };

export function sendText(response: ServerResponse, status: number, type: string, body: string): void {
  if (response.headersSent || response.destroyed) return;
  const length = Buffer.byteLength(body);
  response.writeHead(status, { ...HEADERS, 'Content-Type': `${type}; charset=utf-8`, 'Content-Length': length });
  response.end(body);
}

export function sendJson(response: ServerResponse, status: number, body: object): void {
  sendText(response, status, 'application/json', `${JSON.stringify(body)}\n`);
}

export function sendNothing(response: ServerResponse): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(204, HEADERS);
  response.end();
}

export function sendRefusal(response: ServerResponse, { status, code, message }: Refusal): void {
  sendJson(response, status, { code, message });
}

const STATUS_OF = { EPERM: 403, EINVAL: 422, ENOENT: 404, EUNAVAILABLE: 503 } as const;

/** Answers with what the loop said to a command: 204, or the refusal with its reason. */
export function sendAnswer(response: ServerResponse, answer: CommandAnswer): void {
  if (answer.result === 'ok') sendNothing(response);
  else sendRefusal(response, { status: STATUS_OF[answer.result], code: answer.result, message: answer.why });
}

/** A whole refusal as bytes, for connections on which no HTTP request was understood. */
export function rawRefusal({ status, code, message }: Refusal): string {
  const body = `${JSON.stringify({ code, message })}\n`;
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'Connection: close',
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}
