/** Reads the configuration file: a regular file of at most 1 MiB, in UTF-8. */
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { errorText, SelfballoonError, systemErrorCode } from '../errors.js';
import type { Assignment } from './assignment.js';
import { readToml } from './toml.js';

/** Read when no file is named, if it is there. */
export const DEFAULT_CONFIG_FILE = '/etc/selfballoon.toml';

/** Far more than a section for each of thousands of guests. */
const SIZE_MAX_BYTES = 1_048_576;

export interface ConfigFile {
  readonly path: string;
  /** Whether somebody asked for this file: then it must be there. */
  readonly isNamed: boolean;
}

const refused = (message: string, advice: string, cause?: unknown): SelfballoonError =>
  new SelfballoonError({ code: 'ECONFIG', message, advice, cause });

/** What the file assigns; nothing when it is the default one and not there. Throws `SelfballoonError` `ECONFIG`. */
export async function readConfigFile(file: ConfigFile): Promise<readonly Assignment[]> {
  const text = await readText(file);
  if (text === null) return [];
  const result = await readToml(text, file.path);
  if (result.kind === 'read') return result.assignments;
  const { line, column, why } = result;
  throw refused(
    `${file.path}:${line}:${column}: this is not TOML: ${why}`,
    'The format is described at https://toml.io',
  );
}

async function readText({ path, isNamed }: ConfigFile): Promise<string | null> {
  let handle: FileHandle;
  try {
    // Without O_NONBLOCK a pipe without a writer would hold us up for ever.
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT' && !isNamed) return null;
    throw unreadable(path, error);
  }
  try {
    return decode(path, await readBounded(path, handle));
  } finally {
    await handle.close();
  }
}

function unreadable(path: string, error: unknown): SelfballoonError {
  if (systemErrorCode(error) === 'ENOENT') {
    return refused(`${path}: there is no such configuration file`, 'Check the path, or leave it out', error);
  }
  const advice = `Check that it is a file, and that this user may read it (ls -l ${path})`;
  return refused(`${path}: the configuration file cannot be read: ${errorText(error)}`, advice, error);
}

async function readBounded(path: string, handle: FileHandle): Promise<Buffer> {
  if (!(await handle.stat()).isFile()) {
    throw refused(`${path}: this is not a regular file`, 'Name a file that holds the configuration');
  }
  const buffer = Buffer.alloc(SIZE_MAX_BYTES + 1);
  let length = 0;
  while (length <= SIZE_MAX_BYTES) {
    const { bytesRead } = await readOn(path, handle, buffer, length);
    if (bytesRead === 0) return buffer.subarray(0, length);
    length += bytesRead;
  }
  throw refused(`${path}: the configuration file is larger than 1 MiB`, 'Is this the right file?');
}

async function readOn(path: string, handle: FileHandle, buffer: Buffer, from: number) {
  try {
    return await handle.read(buffer, from, buffer.length - from, from);
  } catch (error) {
    throw unreadable(path, error);
  }
}

function decode(path: string, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw refused(`${path}: the configuration file is not UTF-8 text`, 'Save it as UTF-8', error);
  }
}
