/**
 * What can be done with the nodes of the store, inside a transaction and outside. It makes requests of calls and results of
 * answers, and does not know how they travel.
 */
import { quoted } from '../errors.js';
import { decodeListPart, decodeNames, decodeOk, decodeStrings, textOf, type ListPart } from './answers.js';
import { encodeStrings } from './codec.js';
import { invalid, misunderstood, XenstoreError, type Subject } from './errors.js';
import type { Request, RequestOptions } from './exchange.js';
import type { Operation } from './operations.js';
import { checkPath } from './paths.js';
import { formatPermission, parsePermission, type Permission } from './permissions.js';

export interface CallOptions {
  /** Gives up when it is aborted, with ETIMEDOUT. Without it a call has a time limit of its own (`limit`, 5 s by default). */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The nodes of the store. Paths are absolute, or relative to the own domain's. Every call rejects with `XenstoreError`: what
 * xenstored says (ENOENT, EACCES, ENOSPC …), EINVAL for a path that the protocol does not permit, ETIMEDOUT, EUNAVAILABLE.
 */
export interface Store {
  /** The value of a node, at most 4096 bytes. Whoever may write the node chose it. */
  readonly read: (path: string, options?: CallOptions) => Promise<Buffer>;
  /** The same as text (UTF-8, without one NUL at the end); EINVAL where it is not text. */
  readonly readText: (path: string, options?: CallOptions) => Promise<string>;
  /** Sets the value and creates the node and its parents where they are missing. Path and value share 4095 bytes. */
  readonly write: (path: string, value: string | Uint8Array, options?: CallOptions) => Promise<void>;
  /** Creates a node, and its parents, with empty values; one that exists is left as it is. */
  readonly mkdir: (path: string, options?: CallOptions) => Promise<void>;
  /** Removes a node and everything below. It need not exist, but its parent must: else ENOENT. */
  readonly remove: (path: string, options?: CallOptions) => Promise<void>;
  /** The names of a node's children. EAGAIN where a long list changes each time it is read. */
  readonly list: (path: string, options?: CallOptions) => Promise<readonly string[]>;
  /** The owner, with what everybody may do, and then what others may do. */
  readonly getPermissions: (path: string, options?: CallOptions) => Promise<readonly Permission[]>;
  /** Sets them all. At least one: the owner. */
  readonly setPermissions: (path: string, permissions: readonly Permission[], options?: CallOptions) => Promise<void>;
}

/** Sends a request and gives the payload of its answer. */
export type Ask = (request: Request, options?: RequestOptions) => Promise<Buffer>;

export function storeOver(ask: Ask): Store {
  const about = async (operation: Operation, path: string, rest: Buffer, options?: CallOptions): Promise<Buffer> => {
    checkPath(path);
    const payload = Buffer.concat([encodeStrings(path), rest]);
    return ask({ operation, subject: path, payload }, { signal: options?.signal });
  };
  const done = async (operation: Operation, path: string, rest: Buffer, options?: CallOptions): Promise<void> => {
    decodeOk(await about(operation, path, rest, options), { operation, subject: path });
  };
  return {
    read: (path, options) => about('READ', path, NOTHING, options),
    readText: async (path, options) => textOf(await about('READ', path, NOTHING, options), path),
    write: (path, value, options) => done('WRITE', path, bytesOf(value), options),
    mkdir: (path, options) => done('MKDIR', path, NOTHING, options),
    remove: (path, options) => done('RM', path, NOTHING, options),
    list: async (path, options) => {
      try {
        return decodeNames(await about('DIRECTORY', path, NOTHING, options), { operation: 'DIRECTORY', subject: path });
      } catch (error) {
        if (!(error instanceof XenstoreError && error.xenstoreCode === 'E2BIG')) throw error;
      }
      const subject = { operation: 'DIRECTORY_PART', subject: path };
      return listInParts(subject, async (offset) =>
        decodeListPart(await about('DIRECTORY_PART', path, encodeStrings(`${offset}`), options), subject),
      );
    },
    getPermissions: async (path, options) => {
      const subject = { operation: 'GET_PERMS', subject: path };
      const strings = decodeStrings(await about('GET_PERMS', path, NOTHING, options), subject);
      return strings.map((text) => parsePermission(text, subject));
    },
    setPermissions: async (path, permissions, options) => {
      if (permissions.length === 0)
        throw invalid(`no permissions are given for ${quoted(path)}`, 'Name its owner first');
      await done('SET_PERMS', path, encodeStrings(...permissions.map(formatPermission)), options);
    },
  };
}

const NOTHING = Buffer.alloc(0);
const bytesOf = (value: string | Uint8Array): Buffer =>
  typeof value === 'string' ? Buffer.from(value, 'utf8') : Buffer.from(value);

/** There are at most 32,752 domains, whose numbers take 6 bytes each: 192 KiB. */
const LIST_BYTES_MAX = 4 * 1024 * 1024;
const LIST_BEGINNINGS_MAX = 8;

/** Reads a list that no message holds, piece by piece, and begins again when it has changed in between. */
async function listInParts(
  subject: Subject,
  readPart: (offset: number) => Promise<ListPart>,
): Promise<readonly string[]> {
  for (let beginning = 0; beginning < LIST_BEGINNINGS_MAX; beginning += 1) {
    const names = await listOnce(subject, readPart);
    if (names !== null) return names;
  }
  throw new XenstoreError({
    xenstoreCode: 'EAGAIN',
    message: `the children of ${quoted(subject.subject)} changed each of ${LIST_BEGINNINGS_MAX} times while they were listed`,
    advice: 'Try again later',
  });
}

/** Null when the list changed on the way. */
async function listOnce(
  subject: Subject,
  readPart: (offset: number) => Promise<ListPart>,
): Promise<readonly string[] | null> {
  const names: string[] = [];
  let generation: string | null = null;
  for (let offset = 0; offset < LIST_BYTES_MAX;) {
    const part = await readPart(offset);
    generation ??= part.generation;
    if (part.generation !== generation) return null;
    names.push(...part.names);
    if (part.isLast) return names;
    for (const name of part.names) offset += name.length + 1;
  }
  throw misunderstood(subject, `has no end within ${LIST_BYTES_MAX} bytes`);
}
