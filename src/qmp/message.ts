/**
 * One message of QMP as a line of JSON. It tells greetings, answers and events apart, and does not know what an answer or an event
 * says, nor what was asked before.
 */
import { errorText, quoted } from '../errors.js';
import { millis, type Millis } from '../units.js';
import { brokenProtocol, invalid } from './errors.js';
import { isObject, objectIn, type JsonObject } from './fields.js';

/** What can be sent. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** The arguments of a command. */
export type QmpArguments = Readonly<Record<string, Json>>;

export interface QmpEvent {
  /** As `BALLOON_CHANGE`. */
  readonly name: string;
  /** Empty where the event has none. */
  readonly data: JsonObject;
  /** When it happened, by the host's clock, in ms since 1970; null: QEMU does not say. */
  readonly at: Millis | null;
}

export type Message =
  | { readonly kind: 'greeting'; readonly greeting: JsonObject }
  /** `id` may be anything, and undefined. */
  | { readonly kind: 'return'; readonly id: unknown; readonly value: unknown }
  | { readonly kind: 'error'; readonly id: unknown; readonly errorClass: string; readonly description: string }
  | { readonly kind: 'event'; readonly event: QmpEvent }
  /** An object that is none of these. */
  | { readonly kind: 'unknown' };

/**
 * The deepest nesting of objects and lists that is taken. What is asked for here is 5 deep at most; QEMU's own parser stops
 * at 1024.
 */
export const DEPTH_MAX = 128;
/** The longest command that is sent, in bytes. Those of a balloon have some 100. */
export const COMMAND_BYTES_MAX = 64 * 1024;

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const COMMAND_NAME = /^[A-Za-z0-9_.-]{1,128}$/;

/** What a line says. Throws `QmpError` (EPROTO) where it is not a JSON object, or is nested too deep. */
export function decodeMessage(line: Uint8Array): Message {
  const message = parse(line);
  if (!isObject(message)) throw brokenProtocol('a line came that is JSON and not an object');
  if ('QMP' in message) return { kind: 'greeting', greeting: objectIn(message['QMP']) };
  if ('event' in message) return decodeEvent(message);
  const id = message['id'];
  if ('error' in message) {
    const error = objectIn(message['error']);
    return { kind: 'error', id, errorClass: wordIn(error['class']), description: wordIn(error['desc']) };
  }
  return 'return' in message ? { kind: 'return', id, value: message['return'] } : { kind: 'unknown' };
}

const wordIn = (value: unknown): string => (typeof value === 'string' ? value : '');

function parse(line: Uint8Array): unknown {
  if (isTooDeep(line)) throw brokenProtocol(`a line of JSON came that is nested more than ${DEPTH_MAX} deep`);
  const text = decodeUtf8(line);
  try {
    return JSON.parse(text);
  } catch {
    throw brokenProtocol(`a line came that is not JSON: ${quoted(text)}`);
  }
}

function decodeUtf8(line: Uint8Array): string {
  try {
    return UTF8.decode(line);
  } catch {
    throw brokenProtocol('a line came that is not UTF-8');
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** `{` and `}` differ from `[` and `]` in this bit alone; no other bytes become these two with it. */
const BRACE_BIT = 0x20;
const OPENING = 0x7b;
const CLOSING = 0x7d;
/** Each object or list is opened and closed: what is shorter is not so deep, or no JSON. */
const DEEP_BYTES_MIN = 2 * (DEPTH_MAX + 1);

/** Counts brackets outside of strings. For what is not JSON it may say either. */
function isTooDeep(line: Uint8Array): boolean {
  if (line.length < DEEP_BYTES_MIN) return false;
  let depth = 0;
  let isString = false;
  for (let at = 0; at < line.length; at += 1) {
    const byte = line[at] ?? 0;
    if (byte === QUOTE) isString = !isString;
    else if (isString) at += byte === BACKSLASH ? 1 : 0;
    else if ((byte | BRACE_BIT) === OPENING) depth += 1;
    else if ((byte | BRACE_BIT) === CLOSING) depth -= 1;
    if (depth > DEPTH_MAX) return true;
  }
  return false;
}

function decodeEvent(message: JsonObject): Message {
  const name = message['event'];
  if (typeof name !== 'string') return { kind: 'unknown' };
  const { seconds, microseconds } = objectIn(message['timestamp']);
  return { kind: 'event', event: { name, data: objectIn(message['data']), at: instantOf(seconds, microseconds) } };
}

/** Both are −1 where QEMU could not read the clock. */
function instantOf(seconds: unknown, microseconds: unknown): Millis | null {
  if (typeof seconds !== 'number' || typeof microseconds !== 'number') return null;
  const instant = seconds * 1000 + microseconds / 1000;
  return seconds >= 0 && microseconds >= 0 && Number.isSafeInteger(Math.floor(instant)) ? millis(instant) : null;
}

/**
 * The line of a command, with its end. `id`: a whole number; the answer repeats it. Throws `QmpError` (EINVAL) for a name that can be
 * none, for arguments that are not JSON, and for more than 64 KiB.
 */
export function encodeCommand(command: string, args: QmpArguments | undefined, id: number): Buffer {
  if (!COMMAND_NAME.test(command)) throw invalid(`${quoted(command)} cannot be the name of a QMP command`);
  const line = Buffer.from(
    `${stringify(command, args === undefined ? { execute: command, id } : { execute: command, id, arguments: args })}\n`,
  );
  if (line.length <= COMMAND_BYTES_MAX) return line;
  throw invalid(`${command} takes ${line.length} bytes, and at most ${COMMAND_BYTES_MAX} are sent in one QMP command`);
}

function stringify(command: string, message: { readonly [name: string]: Json }): string {
  try {
    return JSON.stringify(message);
  } catch (cause) {
    throw invalid(`the arguments of ${command} cannot be written as JSON: ${errorText(cause)}`, cause);
  }
}
