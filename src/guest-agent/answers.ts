/** What an agent's answers say. It is a guest's word, who may be hostile: nothing here throws, and what is not as it should be is null. */
import { booleanIn, countIn, isObject, listIn, objectIn, textIn } from '../qmp/fields.js';

export type AgentMessage =
  | { readonly kind: 'return'; readonly value: unknown }
  | { readonly kind: 'error'; readonly errorClass: string; readonly description: string };

/** One line from an agent; null where it is no answer. */
export function decodeAgentMessage(line: Buffer): AgentMessage | null {
  const message = parse(line);
  if (!isObject(message)) return null;
  if ('return' in message) return { kind: 'return', value: message['return'] };
  if (!('error' in message)) return null;
  const { class: errorClass, desc } = objectIn(message['error']);
  return { kind: 'error', errorClass: textIn(errorClass) ?? '', description: textIn(desc) ?? '' };
}

function parse(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString('utf8'));
  } catch {
    return null;
  }
}

/** `guest-info`: the commands that the agent knows, and may be asked. Null where it is malformed. */
export function decodeEnabledCommands(answer: unknown): ReadonlySet<string> | null {
  const commands = listIn(objectIn(answer)['supported_commands'], (element) => {
    if (!isObject(element)) return null;
    const name = textIn(element['name']);
    const isEnabled = booleanIn(element['enabled']);
    return name === null || isEnabled === null ? null : { name, isEnabled };
  });
  return commands && new Set(commands.filter(({ isEnabled }) => isEnabled).map(({ name }) => name));
}

/** `guest-file-open`: a handle, 0 or more. */
export const decodeHandle = (answer: unknown): number | null => countIn(answer);

/** `guest-file-seek`: where the file stands now, in bytes. */
export const decodePosition = (answer: unknown): number | null => countIn(objectIn(answer)['position']);

/** What one reading of a file brought. */
export interface FileChunk {
  readonly bytes: Buffer;
  /** Whether the file ended. */
  readonly isEnd: boolean;
}

/** `guest-file-read` of at most `countMax` bytes. Null where the bytes are more, not as many as it says, or not base64. */
export function decodeFileChunk(answer: unknown, countMax: number): FileChunk | null {
  const { count, eof, 'buf-b64': text = '' } = objectIn(answer);
  const length = countIn(count);
  const isEnd = booleanIn(eof);
  if (length === null || length > countMax || isEnd === null || typeof text !== 'string') return null;
  const bytes = Buffer.from(text, 'base64');
  // Node.js takes nearly anything for base64; only what it would write itself is.
  return bytes.length === length && bytes.toString('base64') === text ? { bytes, isEnd } : null;
}
