/**
 * Which sockets there are now, of those that an administrator named by path, folder or pattern. It does not know who listens
 * there.
 */
import { constants, type Dirent } from 'node:fs';
import { access, readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { systemErrorCode } from '../../errors.js';

/** More machines than one host is planned for, four times over. */
const SOCKETS_MAX = 4_096;
const WILDCARD = /[*?]/;

/**
 * The sockets that these patterns find, each once, in order: by its own path where that is found too, else by the first of the links that lead
 * to it. A pattern is an absolute path; in each of its parts `*` stands for any
 * characters and `?` for one, but neither for a dot at the beginning; a folder stands for all sockets in it. What is missing or may
 * not be read is no socket. At most 4096 are given.
 */
export async function findSockets(patterns: readonly string[]): Promise<readonly string[]> {
  const found = new Map<string, Found>();
  for (const pattern of patterns) {
    for (const socket of await expand(pattern)) {
      if (found.size < SOCKETS_MAX) found.set(socket.path, socket);
    }
  }
  return eachOnce([...found.values()]);
}

/** A monitor serves one client: whoever connected to it a second time, through a link, would wait for ever. */
async function eachOnce(sockets: readonly Found[]): Promise<readonly string[]> {
  const folders = new Map<string, Promise<string>>();
  const realFolder = (folder: string): Promise<string> => {
    const known = folders.get(folder) ?? realOf(folder);
    folders.set(folder, known);
    return known;
  };
  // What its folder calls a socket is no link itself: a call for each folder is enough.
  const placed = sockets.map(async ({ path, kind }) => ({
    path,
    real: kind === null ? await realOf(path) : join(await realFolder(dirname(path)), basename(path)),
  }));
  const chosen = new Map<string, string>();
  for (const { path, real } of (await Promise.all(placed)).sort((a, b) => (a.path < b.path ? -1 : 1))) {
    if (path === real || !chosen.has(real)) chosen.set(real, path);
  }
  return [...chosen.values()].sort();
}

/** Where it leads; the path itself where that cannot be told. */
async function realOf(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (systemErrorCode(error) === null) throw error;
    return path;
  }
}

/**
 * Folders on the way to these patterns that this user may not enter, or may not read where it must be known what is in them; for a person
 * who wonders why nothing is found. Only what stands before a wildcard is looked at.
 */
export async function findClosedFolders(patterns: readonly string[]): Promise<readonly string[]> {
  const closed = await Promise.all(patterns.map(closedFolderOf));
  return [...new Set(closed.filter((folder) => folder !== null))].sort();
}

async function closedFolderOf(pattern: string): Promise<string | null> {
  let path = '/';
  for (const part of pattern.split('/').filter((one) => one !== '')) {
    const isListed = WILDCARD.test(part);
    if (await isForbidden(path, isListed ? constants.R_OK | constants.X_OK : constants.X_OK)) return path;
    if (isListed) return null;
    path = join(path, part);
  }
  return (await isForbidden(path, constants.R_OK)) ? path : null;
}

async function isForbidden(path: string, mode: number): Promise<boolean> {
  try {
    await access(path, mode);
    return false;
  } catch (error) {
    return systemErrorCode(error) === 'EACCES';
  }
}

/** Something that a pattern has found so far. What it is is known where a folder has told it. */
interface Found {
  readonly path: string;
  readonly kind: Kind | null;
}

type Kind = 'socket' | 'folder' | 'other';

async function expand(pattern: string): Promise<readonly Found[]> {
  let found: readonly Found[] = [{ path: '/', kind: 'folder' }];
  for (const part of pattern.split('/').filter((one) => one !== '')) {
    const next = await Promise.all(found.map(({ path }) => below(path, part)));
    found = next.flat().slice(0, SOCKETS_MAX);
  }
  const sockets = await Promise.all(found.map(socketsAt));
  return sockets.flat();
}

/** What is in the folder under this name, or under those that fit. */
async function below(folder: string, part: string): Promise<readonly Found[]> {
  if (!WILDCARD.test(part)) return [{ path: join(folder, part), kind: null }];
  const fits = expressionOf(part);
  return (await entriesOf(folder)).filter(({ path }) => fits.test(basename(path)));
}

function expressionOf(part: string): RegExp {
  const escaped = part.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  const hidden = part.startsWith('.') ? '' : '(?!\\.)';
  return new RegExp(`^${hidden}${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`);
}

/** The socket itself, or those right in the folder. */
async function socketsAt(found: Found): Promise<readonly Found[]> {
  const kind = await kindOf(found);
  if (kind === 'socket') return [found];
  if (kind !== 'folder') return [];
  const inside = await entriesOf(found.path);
  const kinds = await Promise.all(inside.map(kindOf));
  return inside.filter((_, n) => kinds[n] === 'socket');
}

async function kindOf({ path, kind }: Found): Promise<Kind> {
  if (kind !== null) return kind;
  try {
    const seen = await stat(path);
    return seen.isSocket() ? 'socket' : seen.isDirectory() ? 'folder' : 'other';
  } catch (error) {
    if (systemErrorCode(error) === null) throw error;
    return 'other';
  }
}

/** With what the folder says of each: a call for each of a thousand sockets, every two seconds, would cost more than their looks. */
async function entriesOf(folder: string): Promise<readonly Found[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.map((entry) => ({ path: join(folder, entry.name), kind: kindSaid(entry) }));
  } catch (error) {
    if (systemErrorCode(error) === null) throw error;
    return [];
  }
}

/** Null for a link, which may lead to a socket, and where the file system does not say. */
function kindSaid(entry: Dirent): Kind | null {
  if (entry.isSocket()) return 'socket';
  if (entry.isFile()) return 'other';
  return entry.isDirectory() ? 'folder' : null;
}
