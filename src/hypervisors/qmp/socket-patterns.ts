/**
 * Which sockets there are now, of those that an administrator named by path, folder or pattern. It does not know who listens
 * there.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode } from '../../errors.js';

/** More machines than one host is planned for, four times over. */
const SOCKETS_MAX = 4_096;
const WILDCARD = /[*?]/;

/**
 * The sockets that these patterns find, each once, in order. A pattern is an absolute path; in each of its parts `*` stands for any
 * characters and `?` for one, but neither for a dot at the beginning; a folder stands for all sockets in it. What is missing or may
 * not be read is no socket. At most 4096 are given.
 */
export async function findSockets(patterns: readonly string[]): Promise<readonly string[]> {
  const found = new Set<string>();
  for (const pattern of patterns) {
    for (const path of await expand(pattern)) {
      if (found.size < SOCKETS_MAX) found.add(path);
    }
  }
  return [...found].sort();
}

async function expand(pattern: string): Promise<readonly string[]> {
  let paths: readonly string[] = ['/'];
  for (const part of pattern.split('/').filter((one) => one !== '')) {
    const next = await Promise.all(paths.map((path) => below(path, part)));
    paths = next.flat().slice(0, SOCKETS_MAX);
  }
  const sockets = await Promise.all(paths.map((path) => socketsAt(path)));
  return sockets.flat();
}

/** What is in the folder under this name, or under those that fit. */
async function below(folder: string, part: string): Promise<readonly string[]> {
  if (!WILDCARD.test(part)) return [join(folder, part)];
  const fits = expressionOf(part);
  return (await namesIn(folder)).filter((name) => fits.test(name)).map((name) => join(folder, name));
}

function expressionOf(part: string): RegExp {
  const escaped = part.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  const hidden = part.startsWith('.') ? '' : '(?!\\.)';
  return new RegExp(`^${hidden}${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`);
}

/** The socket itself, or those right in the folder. */
async function socketsAt(path: string): Promise<readonly string[]> {
  const kind = await kindOf(path);
  if (kind === 'socket') return [path];
  if (kind !== 'folder') return [];
  const inside = (await namesIn(path)).map((name) => join(path, name));
  const kinds = await Promise.all(inside.map(kindOf));
  return inside.filter((_, n) => kinds[n] === 'socket');
}

async function kindOf(path: string): Promise<'socket' | 'folder' | 'other'> {
  try {
    const found = await stat(path);
    return found.isSocket() ? 'socket' : found.isDirectory() ? 'folder' : 'other';
  } catch (error) {
    if (systemErrorCode(error) === null) throw error;
    return 'other';
  }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (systemErrorCode(error) === null) throw error;
    return [];
  }
}
