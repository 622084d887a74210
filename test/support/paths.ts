/** Where the repository's own files are, wherever the compiled tests lie. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

function findRoot(from: string): string {
  if (existsSync(join(from, 'package-lock.json'))) return from;
  const parent = dirname(from);
  if (parent === from) throw new Error('the tests must lie inside the repository');
  return findRoot(parent);
}

export const REPOSITORY = findRoot(dirname(fileURLToPath(import.meta.url)));
export const fixture = (...parts: readonly string[]): string => join(REPOSITORY, 'test', 'fixtures', ...parts);
