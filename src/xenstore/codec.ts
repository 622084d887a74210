/**
 * One message of the xenstore protocol as bytes: a header of four 32-bit numbers (type, request id, transaction id, length) and a
 * payload of at most 4096 bytes. The numbers have the byte order of the machine; Xen runs on little-endian machines only. It does
 * not know what a payload means, nor what was asked before.
 */
import { brokenProtocol, invalid, tooLarge } from './errors.js';
import { operationOf, OPERATION_NUMBERS, type Operation } from './operations.js';

/** `struct xsd_sockmsg`, in bytes. */
export const HEADER_BYTES = 16;
/** `XENSTORE_PAYLOAD_MAX`. Whoever sends more has its connection cut. */
export const PAYLOAD_BYTES_MAX = 4096;
/** Request and transaction ids are 32 bits wide. */
export const ID_MAX = 2 ** 32 - 1;

export interface Frame {
  readonly operation: Operation;
  /** 0 to 2^32 − 1; an answer repeats the request's. */
  readonly requestId: number;
  /** 0 to 2^32 − 1; 0 outside transactions. */
  readonly transactionId: number;
  /** At most 4096 bytes. */
  readonly payload: Buffer;
}

export type Header = Omit<Frame, 'payload'> & { readonly payloadBytes: number };

/** The bytes of a message. Throws `XenstoreError`: E2BIG for too large a payload, EINVAL for an id that is not one. */
export function encodeFrame({ operation, requestId, transactionId, payload }: Frame): Buffer {
  if (payload.length > PAYLOAD_BYTES_MAX) throw tooLarge({ operation, subject: '' }, payload.length, PAYLOAD_BYTES_MAX);
  for (const id of [requestId, transactionId]) {
    if (!Number.isInteger(id) || id < 0 || id > ID_MAX) throw invalid(`${id} is not an id of the xenstore protocol`);
  }
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  bytes.writeUInt32LE(OPERATION_NUMBERS[operation], 0);
  bytes.writeUInt32LE(requestId, 4);
  bytes.writeUInt32LE(transactionId, 8);
  bytes.writeUInt32LE(payload.length, 12);
  payload.copy(bytes, HEADER_BYTES);
  return bytes;
}

/** The first 16 bytes of `bytes`. Throws `XenstoreError` (EPROTO) for an unknown type or too long a payload. */
export function decodeHeader(bytes: Buffer): Header {
  const type = bytes.readUInt32LE(0);
  const payloadBytes = bytes.readUInt32LE(12);
  const operation = operationOf(type);
  if (operation === null) throw brokenProtocol(`a message of the unknown type ${type} came from xenstored`);
  if (payloadBytes > PAYLOAD_BYTES_MAX) {
    throw brokenProtocol(`a message of ${payloadBytes} bytes came from xenstored; ${PAYLOAD_BYTES_MAX} are allowed`);
  }
  return { operation, requestId: bytes.readUInt32LE(4), transactionId: bytes.readUInt32LE(8), payloadBytes };
}

/** The strings of a request, each with the NUL that ends it. Throws `XenstoreError` (EINVAL) where one has a NUL inside. */
export function encodeStrings(...strings: readonly string[]): Buffer {
  if (strings.some((text) => text.includes('\0'))) throw invalid('a NUL may only stand in the value of a node');
  return Buffer.from(strings.map((text) => `${text}\0`).join(''), 'utf8');
}
