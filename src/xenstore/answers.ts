/**
 * What the payloads of xenstored's messages say. Values of nodes are bytes, and whoever may write the node chose them: they are
 * checked by those who use them. Everything else is checked here, and is `XenstoreError` (EPROTO) where it is not as it should be.
 */
import { quoted } from '../errors.js';
import { misunderstood, invalid, type Subject } from './errors.js';
import { ID_MAX } from './codec.js';
import { isNodeName, isPath } from './paths.js';

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The strings of a payload, each of which must end in a NUL. */
export function decodeStrings(payload: Buffer, asked: Subject): readonly string[] {
  if (payload.length === 0) return [];
  if (payload.at(-1) !== 0) throw misunderstood(asked, 'does not end in a NUL');
  // One character for each byte: what is not ASCII stays visible in messages and is no valid name, path or number.
  return payload.toString('latin1', 0, payload.length - 1).split('\0');
}

/** The one string that the payload must consist of. */
export function decodeString(payload: Buffer, asked: Subject): string {
  const [text, ...rest] = decodeStrings(payload, asked);
  if (text === undefined || rest.length > 0) throw misunderstood(asked, 'is not one string');
  return text;
}

/** Throws unless the payload is the `OK` of those operations that give nothing back. */
export function decodeOk(payload: Buffer, asked: Subject): void {
  const text = decodeString(payload, asked);
  if (text !== 'OK') throw misunderstood(asked, `is ${quoted(text)} where it should be "OK"`);
}

export function decodeBoolean(payload: Buffer, asked: Subject): boolean {
  const text = decodeString(payload, asked);
  if (text !== 'T' && text !== 'F') throw misunderstood(asked, `is ${quoted(text)} where it should be "T" or "F"`);
  return text === 'T';
}

export function decodePath(payload: Buffer, asked: Subject): string {
  const path = decodeString(payload, asked);
  if (!isPath(path)) throw misunderstood(asked, `is ${quoted(path)} where it should be a path`);
  return path;
}

/** A transaction's id: 1 to 2^32 − 1. 0 would mean none, and everything would be done outside it. */
export function decodeTransactionId(payload: Buffer, asked: Subject): number {
  const text = decodeString(payload, asked);
  const id = /^[0-9]{1,10}$/.test(text) ? Number(text) : 0;
  if (id < 1 || id > ID_MAX) throw misunderstood(asked, `is ${quoted(text)} where it should be a transaction's id`);
  return id;
}

export function decodeNames(payload: Buffer, asked: Subject): readonly string[] {
  const names = decodeStrings(payload, asked);
  const wrong = names.find((name) => !isNodeName(name));
  if (wrong !== undefined) throw misunderstood(asked, `lists ${quoted(wrong)}, which is not a node's name`);
  return names;
}

/** A piece of a long list of children. */
export interface ListPart {
  /** Changes when the list does. */
  readonly generation: string;
  readonly names: readonly string[];
  /** Whether the list ends here. */
  readonly isLast: boolean;
}

/** DIRECTORY_PART: the generation, then names; an empty one says that the list is at its end. */
export function decodeListPart(payload: Buffer, asked: Subject): ListPart {
  const [generation, ...found] = decodeStrings(payload, asked);
  if (generation === undefined || !/^[0-9]{1,20}$/.test(generation)) {
    throw misunderstood(asked, 'does not begin with a generation count');
  }
  const isLast = found.at(-1) === '';
  const names = isLast ? found.slice(0, -1) : found;
  if (names.some((name) => !isNodeName(name))) throw misunderstood(asked, "lists something that is not a node's name");
  if (names.length === 0 && !isLast) throw misunderstood(asked, 'goes no further in the list');
  return { generation, names, isLast };
}

/** A watch event: which path has changed, and the token of the watch. What newer servers add behind them is left out. */
export function decodeWatchEvent(payload: Buffer): { readonly path: string; readonly token: string } {
  const event = { operation: 'WATCH_EVENT', subject: '' };
  const [path, token] = decodeStrings(payload, event);
  if (path === undefined || token === undefined) throw misunderstood(event, 'has no path or no token');
  return { path, token };
}

/**
 * A node's value as text: UTF-8, without the one NUL at its end that some programs write. Throws `XenstoreError` (EINVAL) where
 * it is something else.
 */
export function textOf(value: Buffer, path: string): string {
  const end = value.at(-1) === 0 ? value.length - 1 : value.length;
  const text = decodeUtf8(value.subarray(0, end));
  if (text === null || text.includes('\0')) throw invalid(`the value of ${quoted(path)} is not text`);
  return text;
}

function decodeUtf8(bytes: Buffer): string | null {
  try {
    return UTF8.decode(bytes);
  } catch {
    return null;
  }
}
