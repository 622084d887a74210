/** The lab's cache of built images: outside the repository, keyed by what they were made of, rebuilt when missing. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export function cacheFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'selfballoon');
}

/** Short and unlikely to be the same for different parts. */
export const keyOf = (...parts: readonly string[]): string =>
  createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 16);

export interface Parts {
  /** Fills an empty folder. */
  readonly build: (folder: string) => Promise<void>;
  /** The first part that a folder lacks, as its path; null when it is whole. */
  readonly missing: (folder: string) => string | null;
}

/**
 * The folder `name-key` in the cache. When it is missing or lacks a part, `build` fills a fresh one, which gets its name only when
 * it is whole: what was interrupted is never taken for finished. Throws when `build` leaves a part out.
 */
export async function cached(name: string, key: string, { build, missing }: Parts): Promise<string> {
  const folder = join(cacheFolder(), `${name}-${key}`);
  if (existsSync(folder) && missing(folder) === null) return folder;
  const unfinished = `${folder}.building-${process.pid}`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true });
  try {
    await build(unfinished);
    const lacking = missing(unfinished);
    if (lacking !== null) throw new Error(`${lacking} was not built`);
    rmSync(folder, { recursive: true, force: true });
    renameSync(unfinished, folder);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return folder;
}
